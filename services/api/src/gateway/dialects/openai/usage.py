"""The token count of one stream, from wherever its engine reports it."""

from typing import Any

from gateway.dialects.openai.answer import parse_usage
from gateway.usage import Usage


class UsageAccumulator:
    """Counts the tokens of a stream.

    vLLM reports it once, in an event of its own at the end (and, where the client asked for that, the count so far of
    each choice in every event). llama.cpp reports it once for each choice: in an event of its own in a chat, in the
    choice's last event in a completion.

    Args:
        n: Choices per prompt: a prompt's tokens count once for all of them.
    """

    __slots__ = ("_by_choice", "_final", "_n")

    def __init__(self, n: int) -> None:
        self._n = n
        self._final: list[Usage] = []
        self._by_choice: dict[int, Usage] = {}

    def add(self, usage: dict[str, Any], choices: list[dict[str, Any]]) -> None:
        """Adds the usage of an event, and the choices that came with it."""
        counted = parse_usage(usage)
        if counted is None:
            return
        if not choices:
            # At most one for each choice: an engine that reports it again corrects itself.
            self._final = [*self._final, counted][-self._n :]
        for choice in choices:
            index = choice.get("index", 0)
            self._by_choice[index if isinstance(index, int) else 0] = counted

    @property
    def usage(self) -> Usage | None:
        """The sum; None before any was reported."""
        if self._final:
            return _sum([(number == 0, usage) for number, usage in enumerate(self._final)])
        return _sum([(index % self._n == 0, usage) for index, usage in self._by_choice.items()])


def _sum(parts: list[tuple[bool, Usage]]) -> Usage | None:
    """Adds up counts; the input only of those for the first choice of their prompt."""
    if not parts:
        return None
    return Usage(
        input=sum(usage.input for first, usage in parts if first),
        output=sum(usage.output for _, usage in parts),
        cached=sum(usage.cached for first, usage in parts if first),
        reasoning=sum(usage.reasoning for _, usage in parts),
    )
