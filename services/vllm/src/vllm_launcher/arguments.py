"""The command line: the launcher's own options, and any of vLLM's."""

from launcher.errors import ConfigurationError
from vllm_launcher.options import Options, Value, canonical, known_options, option_kind
from vllm_launcher.settings import LAUNCHER_OPTIONS

_SOURCE = "The command line"


def parse(arguments: list[str]) -> tuple[dict[str, str], Options]:
    """Split the command line into the launcher's own options and vLLM's.

    Accepts `--name value`, `--name=value`, and the model's name as first argument, as `vllm serve` does.

    Raises:
        ConfigurationError: an option does not exist or lacks its value.
    """
    own: dict[str, str] = {}
    options: Options = {}
    rest = list(arguments)
    if rest and not rest[0].startswith("-"):
        options["model"] = (rest.pop(0),)
    while rest:
        written, has_value, value = rest.pop(0).partition("=")
        if not written.startswith("--"):
            raise ConfigurationError(
                f"{_SOURCE}: {written} is no option; write it in full, as in --max-model-len 4096."
            )
        values = [value] if has_value else []
        while not has_value and rest and not _is_option(rest[0]):
            values.append(rest.pop(0))
        name = canonical(written.removeprefix("--"))
        if name in LAUNCHER_OPTIONS:
            own[name] = _single_value(name, values)
        else:
            name, parsed = _option(name, values)
            options[name] = parsed
    return own, options


def _option(name: str, values: list[str]) -> tuple[str, Value]:
    positive = name.removeprefix("no-")
    negated = positive != name and known_options().get(positive) == "boolean"
    kind = "boolean" if negated else option_kind(name, _SOURCE)
    if kind in {"boolean", "switch"}:
        if values:
            raise ConfigurationError(f"{_SOURCE}: --{name} takes no value, but {values[0]} follows it.")
        return (positive if negated else name), not negated
    if kind == "value":
        return name, (_single_value(name, values),)
    if not values:
        raise ConfigurationError(f"{_SOURCE}: --{name} needs at least one value.")
    return name, tuple(values)


def _single_value(name: str, values: list[str]) -> str:
    if len(values) != 1:
        raise ConfigurationError(f"{_SOURCE}: --{name} needs exactly one value, not {len(values)}.")
    return values[0]


def _is_option(text: str) -> bool:
    return text.startswith("--") and len(text) > len("--")
