"""Token usage of a request, as counted by the engine."""

from typing import NamedTuple


class Usage(NamedTuple):
    """Tokens of one request by the engine's own count. `cached` is part of `input`, `reasoning` part of `output`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
