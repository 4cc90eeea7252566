"""While a stack starts, whatever ends the command ends it as Ctrl-C does, so that nothing half started stays."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_OUTPUTS = (1, 2)


@contextmanager
def interrupting() -> Iterator[None]:
    """While inside, SIGTERM and a closed terminal raise KeyboardInterrupt too."""
    terminals = [output for output in _OUTPUTS if os.isatty(output)]

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _silence(terminals)
        raise KeyboardInterrupt

    # SIGINT too: what a shell puts into the background starts with SIGINT ignored. Who ignores SIGHUP (nohup) means it.
    numbers = [signal.SIGINT, signal.SIGTERM]
    numbers += [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """While inside, SIGINT, SIGTERM and a closed terminal do nothing; KeyboardInterrupt is raised behind it."""
    came: list[int] = []
    # A handler, since a signal that is ignored or blocked would be so in every program that is started meanwhile.
    numbers = [one for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _silence(outputs: list[int]) -> None:
    """A terminal that is gone refuses what is written: a last word must not stop the work that it announces."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in outputs:
        os.dup2(nowhere, output)
    os.close(nowhere)
