"""What a start leaves in the run directory for the commands after it: whom it started, and where the API is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from glasshouse.files import write_atomically
from glasshouse.stack.native import processes

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_FILE = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """One start. `pid` is supervisord's, which is its session's number too; `started` in clock ticks since boot."""

    pid: int
    started: int | None
    boot: str
    url: str
    certificate: str | None
    prometheus: str | None
    stop_grace: int

    def is_running(self) -> bool:
        """Whether this start's supervisord lives."""
        return self.boot == boot() and processes.is_alive(self.pid, self.started)

    def members(self, root: Path) -> tuple[processes.Process, ...]:
        """Every living process of this start."""
        return processes.in_session(self.pid, root) if self.boot == boot() else ()


def boot() -> str:
    """Tells one boot of the machine from another, since process numbers begin anew; empty where unknown."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def read(run_dir: Path) -> State | None:
    """The last start's state; None when there is none, or its file is of no use."""
    try:
        return State(**json.loads((run_dir / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(run_dir: Path, state: State) -> None:
    """Keeps `state` for later commands.

    Raises:
        OSError: The run directory is not writable.
    """
    write_atomically(run_dir / _FILE, json.dumps(asdict(state), indent=1) + "\n")


def clear(run_dir: Path) -> None:
    """Forgets the last start."""
    (run_dir / _FILE).unlink(missing_ok=True)
