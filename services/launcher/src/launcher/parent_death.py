"""Ends a program when its launcher dies: `python -m launcher.parent_death PARENT SIGNAL PROGRAM ARGUMENT…`.

The kernel sends SIGNAL to the program when the launcher dies, whatever kills it (prctl(2), PR_SET_PDEATHSIG), so that
no engine goes on holding a GPU unseen. It is a program of its own that replaces itself with the engine, because code
between fork and exec (`preexec_fn`) can deadlock in a process that has threads, and a launcher has some.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Set the signal, then exec the program; exits at once when the launcher is already gone."""
    parent, signal, program = int(arguments[0]), int(arguments[1]), arguments[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        sys.exit(f"The parent death signal cannot be set: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the signal was set
        sys.exit("The launcher is gone.")
    try:
        os.execvp(program[0], program)  # noqa: S606 -- no shell is wanted
    except OSError as error:
        sys.exit(f"{program[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
