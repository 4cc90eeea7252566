"""What a start records in the run directory for later commands: what it started, and where the API is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from glasshouse.files import write_atomically
from glasshouse.stack import processes

# Not psutil.boot_time(), which moves when the clock is set.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FILE = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """A start. `pid` is supervisord's, and its session's ID; `started` is in clock ticks since the boot `boot`."""

    pid: int
    started: int | None
    boot: str
    url: str
    certificate: str | None
    prometheus: str | None
    stop_grace: int

    def is_running(self) -> bool:
        """Whether this start's supervisord lives."""
        return self.boot == boot_id() and processes.is_alive(self.pid, self.started)

    def members(self, root: Path) -> tuple[psutil.Process, ...]:
        """Every living process of this start."""
        return processes.session_members(self.pid, root) if self.boot == boot_id() else ()


def boot_id() -> str:
    """Identifies the boot of the machine, after which process IDs begin anew; empty where unknown."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def read(run_dir: Path) -> State | None:
    """The last start's state; None when there is none, or its file cannot be read."""
    try:
        return State(**json.loads((run_dir / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(run_dir: Path, state: State) -> None:
    """Records `state` for later commands.

    Raises:
        OSError: The run directory is not writable.
    """
    write_atomically(run_dir / _FILE, json.dumps(asdict(state), indent=1) + "\n")


def clear(run_dir: Path) -> None:
    """Removes the record of the last start."""
    (run_dir / _FILE).unlink(missing_ok=True)
