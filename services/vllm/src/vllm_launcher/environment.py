"""Environment variables: which are options of vLLM, which vLLM reads itself, which are the launcher's."""

from collections.abc import Mapping

from launcher.errors import ConfigurationError
from vllm_launcher.options import Options, is_known, option_kind
from vllm_launcher.settings import LAUNCHER_OPTIONS
from vllm_launcher.values import from_text

_PREFIX = "VLLM_"
LAUNCHER_VARIABLES = frozenset(_PREFIX + name.upper().replace("-", "_") for name in LAUNCHER_OPTIONS)
API_KEY_VARIABLE = "VLLM_API_KEY"
_DEV_MODE = "VLLM_SERVER_DEV_MODE"
# Options by name, but vLLM reads these variables itself, with the same meaning. It reads VLLM_PORT too, but as the
# first port for communication among its own processes, so that one must never reach it.
_READ_BY_VLLM = frozenset({"VLLM_DCP_Q_REPLICATE"})
# Variables of clients, which may share an .env file with the server: vLLM warns about each one it does not know.
_CLIENT_PREFIXES = ("VLLM_BASE_URL", "VLLM_LORA_ADAPTER_")
# Read by Compose from .env, and possibly exported by a person: not options either.
_COMPOSE_VARIABLES = frozenset({"VLLM_IMAGE", "VLLM_MEMORY"})


def environment_options(environment: Mapping[str, str]) -> Options:
    """Translate variables such as VLLM_MAX_MODEL_LEN=8192 into options; empty ones count as not set.

    Raises:
        ConfigurationError: a value does not suit its option, vLLM no longer has the option, or the option is dangerous.
    """
    if environment.get(_DEV_MODE, "0") not in {"", "0"}:
        raise ConfigurationError(f"{_DEV_MODE} opens endpoints that run code in vLLM (/collective_rpc); leave it out.")
    options: Options = {}
    for variable, text in sorted(environment.items()):
        if text and _is_option(variable):
            name = _option(variable)
            options[name] = from_text(text, option_kind(name, variable), variable)
    return options


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return vLLM's environment: what it reads itself, without what was translated or is meant for others."""
    child = {variable: text for variable, text in environment.items() if not _is_stripped(variable)}
    child.setdefault("VLLM_NO_USAGE_STATS", "1")  # by default it reports usage to its authors
    return child


def _is_option(variable: str) -> bool:
    if (
        not variable.startswith(_PREFIX)
        or variable in LAUNCHER_VARIABLES
        or variable == API_KEY_VARIABLE
        or variable in _READ_BY_VLLM
    ):
        return False
    return is_known(_option(variable))


def _is_stripped(variable: str) -> bool:
    # With PROMETHEUS_MULTIPROC_DIR set, vLLM would mix its metrics with the gateway's.
    return (
        variable in LAUNCHER_VARIABLES
        or variable in _COMPOSE_VARIABLES
        or variable in {API_KEY_VARIABLE, "ENGINE_KEY_FILE", "PROMETHEUS_MULTIPROC_DIR"}
        or variable.startswith(_CLIENT_PREFIXES)
        or _is_option(variable)
    )


def _option(variable: str) -> str:
    return variable.removeprefix(_PREFIX).lower().replace("_", "-")
