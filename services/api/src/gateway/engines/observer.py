"""Whom an engine reports to: the engines themselves know no metrics."""

from collections.abc import Sequence
from typing import Protocol

from gateway.errors import ProbeResult
from gateway.usage import Usage


class EngineObserver(Protocol):
    """Counts and shows what happens to engines. The gateway's recorder is one."""

    def declare_engine(self, engine: str, states: Sequence[str]) -> None:
        """An engine exists; it is always in one of these states."""

    def engine_state_set(self, engine: str, state: str) -> None:
        """The engine is in this state. Reported whenever it is determined, not only when it changes."""

    def engine_ejected(self, engine: str) -> None:
        """The engine was taken out of rotation for its failures, or because it makes no progress."""

    def engine_probed(self, engine: str, result: ProbeResult, usage: Usage | None) -> None:
        """The gateway had the engine generate a token of its own; `usage` is the engine's count, where it has one."""
