"""Runs `make` of the checkout as it is now, so that a version that was just checked out runs its own code."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from glasshouse.errors import UpgradeError
from glasshouse.signals import uninterrupted

_OWN_END_S = 5.0
# What make hands on to a make below it: VERSION, say, which is ours.
_OF_MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}


def make(root: Path, target: str, *, apart: bool = False, **variables: str) -> int:
    """Runs a target in front of the person; its exit status. Interrupted, it is ended too, and waited for.

    Args:
        root: the checkout.
        target: what to make.
        apart: whether Ctrl-C on the terminal does not reach it.
        variables: for it and what it runs.

    Raises:
        UpgradeError: There is no make.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
    try:
        child = subprocess.Popen(  # noqa: S603 - the target is ours
            ["make", target],  # noqa: S607 - the person's own make
            cwd=root,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            start_new_session=apart,
        )
    except OSError as error:
        raise UpgradeError(f"make cannot be run: {error.strerror}.") from error
    try:
        return child.wait()
    except BaseException:
        with uninterrupted(), suppress(subprocess.TimeoutExpired):  # a terminal's Ctrl-C has reached it already
            child.wait(_OWN_END_S)
        raise
    finally:
        if child.poll() is None:
            with uninterrupted():
                child.terminate()
                child.wait()
