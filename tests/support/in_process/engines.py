"""A fake observer of engines, which keeps what they report."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import ProbeResult
    from gateway.usage import Usage


class FakeEngineObserver:
    """In place of the recorder.

    Attributes:
        declared: The states that each engine can be in.
        states: The state of each engine.
        ejections: How often each engine was ejected.
        probes: The probes of each engine, and the tokens that it counted.
    """

    def __init__(self) -> None:
        self.declared: dict[str, Sequence[str]] = {}
        self.states: dict[str, str] = {}
        self.ejections: Counter[str] = Counter()
        self.probes: list[tuple[str, ProbeResult, Usage | None]] = []

    def declare_engine(self, engine: str, states: Sequence[str]) -> None:
        self.declared[engine] = states

    def engine_state_set(self, engine: str, state: str) -> None:
        self.states[engine] = state

    def engine_ejected(self, engine: str) -> None:
        self.ejections[engine] += 1

    def engine_probed(self, engine: str, result: ProbeResult, usage: Usage | None) -> None:
        self.probes.append((engine, result, usage))
