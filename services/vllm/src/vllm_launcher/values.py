"""Option values: read from YAML and environment variables, written as `vllm serve`'s arguments."""

import json
from collections.abc import Iterator
from typing import Any

from launcher.errors import ConfigurationError
from vllm_launcher.options import Kind, Options, Value, known_options

_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def from_yaml(raw: Any, kind: Kind, location: str) -> Value:
    """Read a value of a model file.

    Raises:
        ConfigurationError: its type does not suit the option.
    """
    if kind in {"boolean", "switch"}:
        return _boolean(str(raw), location)
    if isinstance(raw, bool):
        value = str(raw).lower()
        raise ConfigurationError(f"{location}={value} cannot be used; the option takes a value, not a boolean.")
    if isinstance(raw, list):
        if kind != "list":
            return (json.dumps(raw, ensure_ascii=False),)
        if not raw:
            raise ConfigurationError(f"{location}=[] cannot be used; name at least one item or leave it out.")
        return tuple(_scalar(item) for item in raw)
    return (_scalar(raw),)


def from_text(text: str, kind: Kind, location: str) -> Value:
    """Read a value of an environment variable.

    A list may be a JSON list, JSON objects one after another (as LoRA modules are often written in a systemd unit),
    or words.

    Raises:
        ConfigurationError: it does not suit the option.
    """
    if kind in {"boolean", "switch"}:
        return _boolean(text, location)
    if kind == "value":
        return (text,)
    if text.lstrip().startswith(("[", "{")):
        return tuple(_scalar(item) for item in _json_items(text.strip(), location))
    return tuple(text.split())


def to_arguments(options: Options) -> list[str]:
    """Write options as arguments of `vllm serve`; a switch that is off is left out, since off is its default.

    vLLM 0.32's own reader of `--config` silently drops `false` for an option that has no `--no-x`.
    """
    arguments: list[str] = []
    for name, value in options.items():
        match value:
            case True:
                arguments.append(f"--{name}")
            case False if known_options()[name] == "boolean":
                arguments.append(f"--no-{name}")
            case tuple():
                arguments += (f"--{name}", *value)
    return arguments


def _boolean(text: str, location: str) -> bool:
    try:
        return _BOOLEANS[text.strip().lower()]
    except KeyError:
        raise ConfigurationError(f"{location}={text} cannot be used; it must be true or false.") from None


def _scalar(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False) if isinstance(item, (dict, list)) else str(item)


def _json_items(text: str, location: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    try:
        while text:
            item, end = decoder.raw_decode(text)
            text = text[end:].lstrip(" \t\r\n,")
            yield from item if isinstance(item, list) else [item]
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{location} is not JSON ({error.msg} at character {error.pos + 1} of the rest); "
            'write a list of objects like [{"name": "a", "path": "b"}].'
        ) from error
