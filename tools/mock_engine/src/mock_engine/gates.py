"""Where generations stand still until somebody says otherwise: a test's way to act at an exact point of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Gates:
    """Gates by name, each shut until it is opened and open from then on.

    A gate that is opened before anybody stands at it lets everybody pass, so that an order never comes too early.
    """

    __slots__ = ("_open", "_standing")

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._standing: dict[str, list[Callable[[], None]]] = {}

    def shut(self, name: str) -> bool:
        """Whether one has to stand still there."""
        return name not in self._open

    def stand(self, name: str, go_on: Callable[[], None]) -> None:
        """Stand still; `go_on` is called once the gate opens."""
        self._standing.setdefault(name, []).append(go_on)

    def leave(self, name: str, go_on: Callable[[], None]) -> None:
        """Stand there no more: the client has gone."""
        standing = self._standing.get(name, [])
        if go_on in standing:
            standing.remove(go_on)
        if not standing:
            self._standing.pop(name, None)

    def open(self, names: Iterable[str]) -> None:
        """Open gates; who stands there goes on before this returns."""
        for name in names:
            self._open.add(name)
            for go_on in self._standing.pop(name, []):
                go_on()

    def forget(self) -> None:
        """Shut all gates again; who stands at one goes on standing."""
        self._open.clear()

    def show(self) -> dict[str, int]:
        """Return how many stand at each gate."""
        return {name: len(standing) for name, standing in self._standing.items()}
