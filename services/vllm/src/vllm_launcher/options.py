"""The options that `vllm serve` accepts.

`options.txt` holds one `name kind` a line, as vLLM 0.32 prints them in its help: running vLLM to list them takes half a
minute. A test against the real vLLM keeps the file current.
"""

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Literal

from launcher.errors import ConfigurationError

# boolean: --x or --no-x; switch: --x only; value: one argument; list: one or more.
Kind = Literal["boolean", "switch", "value", "list"]
Value = bool | tuple[str, ...]
Options = dict[str, Value]

_REMOVED = {
    "swap-space": "vLLM recomputes instead of swapping; leave it out",
    "task": "use runner (generate, pooling) and convert (embed, classify)",
    "disable-log-requests": "requests are not logged by default; leave it out",
    "guided-decoding-backend": "use structured-outputs-config: {backend: ...}",
    "rope-scaling": "use hf-overrides: {rope_parameters: ...}",
    "num-scheduler-steps": "the scheduler overlaps its steps by itself; leave it out",
}
_REFUSED = {
    "api-key": "arguments are visible to every process; put the key into the file that ENGINE_KEY_FILE names",
    "hf-token": "arguments are visible to every process; put the token into the file that HF_TOKEN_PATH names",
    "config": "use VLLM_MODEL_FILE",
    "enable-log-requests": "prompts must not reach a log",
    "enable-log-outputs": "completions must not reach a log",
    "enable-log-deltas": "completions must not reach a log",
}


@cache
def known_options() -> dict[str, Kind]:
    """Return all options: name without the leading dashes → kind."""
    text = (files("vllm_launcher") / "options.txt").read_text(encoding="ascii")
    return dict(parse(text))


def parse(text: str) -> list[tuple[str, Kind]]:
    """Parse `options.txt`."""
    kinds: dict[str, Kind] = {"boolean": "boolean", "switch": "switch", "value": "value", "list": "list"}
    rows = (line.split() for line in text.splitlines())
    return [(name, kinds[kind]) for name, kind in rows]


def parse_help(text: str) -> list[tuple[str, Kind]]:
    """Parse the usage that `--help=all` prints first; sorted by name."""
    usage = " ".join(text.partition("\n\n")[0].split())
    found = []
    depth, start = 0, 0
    for position, letter in enumerate(usage):
        if letter == "[":
            start = position + 1 if depth == 0 else start
            depth += 1
        elif letter == "]":
            depth -= 1
            if depth == 0 and usage.startswith("--", start):
                name, _, rest = usage[start + 2 : position].partition(" ")
                found.append((name, _kind(name, rest)))
    return sorted(found)


def canonical(name: str) -> str:
    """Normalise an option's name, without the leading dashes: vLLM accepts underscores everywhere."""
    head, dot, tail = name.partition(".")
    return head.replace("_", "-") + dot + tail


def option_kind(name: str, source: str) -> Kind:
    """Return the kind of an option; `json-option.key` names a part of a value.

    Args:
        name: canonical, without the leading dashes.
        source: where it comes from, for the message.

    Raises:
        ConfigurationError: vLLM has removed it, it must not be used, or it does not exist.
    """
    head = name.partition(".")[0]
    if head in _REMOVED:
        raise ConfigurationError(f"{source}: vLLM no longer accepts {head}: {_REMOVED[head]}.")
    if head in _REFUSED:
        raise ConfigurationError(f"{source}: {head} is not accepted: {_REFUSED[head]}.")
    if head not in known_options():
        raise ConfigurationError(f"{source}: vLLM has no option {head}{_suggestion(head)}.")
    return known_options()[head]


def is_known(name: str) -> bool:
    """Return whether vLLM has, or once had, this option."""
    return name in known_options() or name in _REMOVED


def _kind(name: str, rest: str) -> Kind:
    if f"--no-{name}" in rest:
        return "boolean"
    if not rest:
        return "switch"
    return "list" if "..." in rest else "value"


def _suggestion(name: str) -> str:
    matches = get_close_matches(name, known_options(), n=1)
    return f"; did you mean {matches[0]}" if matches else "; `vllm serve --help=all` lists them"
