"""While a stack starts, any signal to end acts as Ctrl-C does, so that nothing half started is left."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_OUTPUTS = (1, 2)


@contextmanager
def interrupting() -> Iterator[None]:
    """While inside, SIGTERM and a closed terminal raise KeyboardInterrupt, too."""
    terminals = [output for output in _OUTPUTS if os.isatty(output)]

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _silence(terminals)
        raise KeyboardInterrupt

    # SIGINT too: a shell starts background jobs with SIGINT ignored. An ignored SIGHUP (nohup) is meant.
    numbers = [signal.SIGINT, signal.SIGTERM]
    numbers += [] if _is_ignored(signal.SIGHUP) else [signal.SIGHUP]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """While inside, SIGINT, SIGTERM and a closed terminal are held back; KeyboardInterrupt is raised at the end."""
    received: list[int] = []
    # A handler: programs that are started meanwhile would inherit a signal that is ignored or blocked.
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if not _is_ignored(each)]
    before = {number: signal.signal(number, lambda number, _frame: received.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def _silence(outputs: list[int]) -> None:
    """A closed terminal fails every write: a message must not stop the work that it announces."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for output in outputs:
        os.dup2(devnull, output)
    os.close(devnull)
