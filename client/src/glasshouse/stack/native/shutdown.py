"""Ends what a start began, in order and completely, and nothing else."""

import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from glasshouse.console import Progress
from glasshouse.errors import StackError
from glasshouse.settings import Settings
from glasshouse.stack import processes
from glasshouse.stack.native import state, supervisor

_POLL_S = 0.1  # supervisord looks at its programs once a second, or when it gets a request; so it gets requests
_MARGIN_S = 5.0
_LEFTOVER_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class StopReport:
    """What was ended: programs in order, processes that had to be killed, and how long it took."""

    programs: tuple[str, ...]
    killed: tuple[str, ...]
    seconds: float


def stop(settings: Settings) -> StopReport | None:
    """Ends the stack of this run directory; None when nothing ran. Ctrl-C meanwhile kills what is left at once.

    Raises:
        StackError: A process of the stack cannot be ended, even by killing it.
    """
    current = state.read(settings.run_dir)
    if current is None:
        return None
    if not current.is_running() and not current.members(settings.root):
        _remove_runtime_files(settings)
        return None
    with Progress() as progress:
        killed: tuple[str, ...] = ()
        programs: tuple[str, ...] = ()
        try:
            if current.is_running():
                programs = _stop_supervisord(settings, current, progress)
            killed = _stop_leftover(settings, current, progress)
        except KeyboardInterrupt:
            killed = _kill(current.members(settings.root))
        left = processes.wait_gone(current.pid, settings.root, _MARGIN_S)
        seconds = progress.seconds
    if left:
        raise StackError("These processes cannot be ended: " + ", ".join(map(processes.describe, left)))
    _remove_runtime_files(settings)
    return StopReport(programs, killed, seconds)


def _stop_supervisord(settings: Settings, current: state.State, progress: Progress) -> tuple[str, ...]:
    """Has supervisord end its programs one after the other and itself; returns the programs that ran."""
    running = [program for program in supervisor.programs(settings.socket) or () if program.pid]
    supervisord = processes.find(current.pid)
    if supervisord is not None:
        processes.send((supervisord,), signal.SIGTERM)
    deadline = time.monotonic() + current.stop_grace * max(len(running), 1) + _MARGIN_S
    while current.is_running() and time.monotonic() < deadline:
        alive = ", ".join(program.name for program in running if processes.is_alive(program.pid, None))
        progress.show(f"stopping {alive or 'supervisord'} (up to {current.stop_grace} s each; Ctrl-C kills)")
        time.sleep(_POLL_S)
        supervisor.programs(settings.socket)
    return tuple(program.name for program in running)


def _stop_leftover(settings: Settings, current: state.State, progress: Progress) -> tuple[str, ...]:
    """Ends what outlived supervisord, in two steps; returns those that had to be killed."""
    leftover = current.members(settings.root)
    if not leftover:
        return ()
    progress.show("stopping what outlived supervisord: " + ", ".join(str(each.pid) for each in leftover))
    processes.send(leftover, signal.SIGTERM)
    return _kill(processes.wait_gone(current.pid, settings.root, _LEFTOVER_GRACE_S))


def _kill(found: Sequence[psutil.Process]) -> tuple[str, ...]:
    """Kills processes; returns their descriptions, which cannot be read afterwards."""
    described = tuple(map(processes.describe, found))
    processes.send(found, signal.SIGKILL)
    return described


def _remove_runtime_files(settings: Settings) -> None:
    """Removes what only a running stack has. Logs and Prometheus' data stay."""
    for name in ("supervisord.pid", "nginx/nginx.pid"):
        (settings.run_dir / name).unlink(missing_ok=True)
    settings.socket.unlink(missing_ok=True)
    if settings.metrics_dir == settings.default_metrics_dir:
        shutil.rmtree(settings.metrics_dir, ignore_errors=True)
    state.clear(settings.run_dir)
