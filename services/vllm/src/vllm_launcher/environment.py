"""The environment: which variables are options of vLLM, which are vLLM's own, which are ours."""

from collections.abc import Mapping

from launcher.errors import ConfigurationError
from vllm_launcher.options import Options, is_known, option_kind
from vllm_launcher.values import from_text

_PREFIX = "VLLM_"
OWN = frozenset(
    {"VLLM_MODEL_FILE", "VLLM_STATUS_HOST", "VLLM_STATUS_PORT", "VLLM_STOP_GRACE", "VLLM_DRAIN_DELAY", "VLLM_PYTHON"}
)
API_KEY_VARIABLE = "VLLM_API_KEY"
_DEV_MODE = "VLLM_SERVER_DEV_MODE"
# An option by name, but vLLM reads the variable itself and means the same by it. VLLM_PORT is one too, but means the
# first port for its processes to talk among themselves there, so it must never get through.
_READ_BY_VLLM = frozenset({"VLLM_DCP_Q_REPLICATE"})
# Seed 002 keeps its clients' variables in the same file: nothing to vLLM, which warns about each one it does not know.
_CLIENT_PREFIXES = ("VLLM_BASE_URL", "VLLM_LORA_ADAPTER_")
# Read by Compose from .env, which a person may have exported: no options either.
_COMPOSE_VARIABLES = frozenset({"VLLM_IMAGE", "VLLM_MEMORY"})


def environment_options(environment: Mapping[str, str]) -> Options:
    """Translate variables such as VLLM_MAX_MODEL_LEN=8192 into options; an empty one counts as not set.

    Raises:
        ConfigurationError: a value does not suit its option, vLLM no longer has the option, or it would be open to all.
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
    """Give vLLM's environment: what it reads itself, without what was translated or is meant for others."""
    child = {variable: text for variable, text in environment.items() if not _is_stripped(variable)}
    child.setdefault("VLLM_NO_USAGE_STATS", "1")  # it reports to its makers by default
    return child


def _is_option(variable: str) -> bool:
    if not variable.startswith(_PREFIX) or variable in OWN or variable == API_KEY_VARIABLE or variable in _READ_BY_VLLM:
        return False
    return is_known(_option(variable))


def _is_stripped(variable: str) -> bool:
    # With a directory for several processes' metrics vLLM would mix its numbers with the gateway's.
    return (
        variable in OWN
        or variable in _COMPOSE_VARIABLES
        or variable in {API_KEY_VARIABLE, "ENGINE_KEY_FILE", "PROMETHEUS_MULTIPROC_DIR"}
        or variable.startswith(_CLIENT_PREFIXES)
        or _is_option(variable)
    )


def _option(variable: str) -> str:
    return variable.removeprefix(_PREFIX).lower().replace("_", "-")
