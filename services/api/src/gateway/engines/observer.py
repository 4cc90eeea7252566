"""Whom an engine reports to: the engines themselves know no metrics."""

from collections.abc import Sequence
from typing import Protocol


class EngineObserver(Protocol):
    """Counts and shows what happens to engines. The gateway's recorder is one."""

    def declare_engine(self, engine: str, states: Sequence[str]) -> None:
        """An engine exists; it is always in one of these states."""

    def engine_state_set(self, engine: str, state: str) -> None:
        """The engine is in this state. Reported whenever it is determined, not only when it changes."""

    def engine_ejected(self, engine: str) -> None:
        """The engine was taken out of rotation for its failures, or because it makes no progress."""
