"""Which engine a drill may stop: an idle one, each of whose models another ready engine serves."""

from collections.abc import Collection, Mapping
from typing import Any

from glasshouse.api import Api
from glasshouse.errors import DrillError
from glasshouse.settings import Settings
from glasshouse.stack.endpoint import Endpoint

_READY = "ready"


def status(settings: Settings, endpoint: Endpoint) -> Mapping[str, Any]:
    """The engines by name, as the gateway reports them at /models/status.

    Raises:
        DrillError: The key cannot be read.
        ApiError: The gateway does not answer.
    """
    try:
        key = settings.api_key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DrillError(f"The API key cannot be read: {error}. Put sudo before the command.") from error
    with Api(endpoint.url, certificate=endpoint.certificate, key=key) as api:
        engines: Mapping[str, Any] = api.get("/models/status").checked()["engines"]
    return engines


def spare(engines: Mapping[str, Any], own: Collection[str]) -> str:
    """The engine that may be stopped.

    Args:
        engines: as `status` returns them.
        own: the engines that are services of this stack.

    Raises:
        DrillError: None may be; the text says why.
    """
    ready = {name: engine for name, engine in engines.items() if engine["state"] == _READY}
    if len(ready) < 2:  # noqa: PLR2004 - one has to remain
        raise DrillError("There is one ready engine, and the last one is never stopped.")
    redundant = [name for name in ready if name in own and _is_redundant(name, ready)]
    if not redundant:
        raise DrillError("Every engine serves a model that no other ready engine serves.")
    idle = [name for name in redundant if not ready[name]["load"]["running"] and not ready[name]["load"]["waiting"]]
    if not idle:
        raise DrillError(f"{' and '.join(redundant)} has requests; a drill stops only an idle engine.")
    return idle[0]


def _is_redundant(name: str, ready: Mapping[str, Any]) -> bool:
    elsewhere = {model for other, engine in ready.items() if other != name for model in engine["models"]}
    models = set(ready[name]["models"])
    return bool(models) and models <= elsewhere
