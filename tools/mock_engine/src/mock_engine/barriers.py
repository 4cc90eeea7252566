"""Barriers at which generations wait until they are released: how a test acts at an exact point of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Barriers:
    """Barriers by name, each closed until it is released and open from then on.

    One that is released before a generation reaches it lets all of them pass, so that no release comes too early.
    """

    __slots__ = ("_open", "_waiting")

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def is_closed(self, name: str) -> bool:
        """Whether a generation has to wait there."""
        return name not in self._open

    def wait(self, name: str, callback: Callable[[], None]) -> None:
        """Wait; `callback` is called once the barrier is released."""
        self._waiting.setdefault(name, []).append(callback)

    def discard(self, name: str, callback: Callable[[], None]) -> None:
        """Wait there no more: the client has gone."""
        waiting = self._waiting.get(name, [])
        if callback in waiting:
            waiting.remove(callback)
        if not waiting:
            self._waiting.pop(name, None)

    def release(self, names: Iterable[str]) -> None:
        """Open barriers; what waits there continues before this returns."""
        for name in names:
            self._open.add(name)
            for callback in self._waiting.pop(name, []):
                callback()

    def reset(self) -> None:
        """Close all barriers again; what waits at one keeps waiting."""
        self._open.clear()

    def waiting(self) -> dict[str, int]:
        """Return how many generations wait at each barrier."""
        return {name: len(callbacks) for name, callbacks in self._waiting.items()}
