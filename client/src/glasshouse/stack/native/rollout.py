"""How a native stack is replaced by another version: its programs run from the code itself, and are started anew."""

from collections.abc import Callable

from glasshouse.errors import StackError
from glasshouse.make import make
from glasshouse.settings import Settings
from glasshouse.stack.base import SavedData, changed_secrets


class NativeRollout:
    """See Rollout; `stop` ends the stack that runs."""

    def __init__(self, settings: Settings, stop: Callable[[], object]) -> None:
        self._root = settings.root
        self._stop = stop

    def prepare(self) -> None:
        """See Rollout."""
        self._stop()

    def stop_new(self) -> None:
        """See Rollout."""
        make(self._root, "down", own_session=True)

    def roll_back(self, saved: SavedData) -> tuple[str, ...]:
        """See Rollout. Prometheus is the machine's own and the same as before, so its data stays."""
        restored = changed_secrets(saved)
        saved.restore(restored)
        if make(self._root, "up", own_session=True, SHAPE="native"):
            raise StackError("The old version does not start; the lines above say why.")
        return restored

    def complete(self) -> str:
        """See Rollout: nothing was kept."""
        return ""

    def cancel(self) -> None:
        """See Rollout."""
        make(self._root, "up", own_session=True, SHAPE="native")
