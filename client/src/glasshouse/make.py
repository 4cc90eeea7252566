"""Runs `make` in the checkout, so that a version that was just checked out runs its own code."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from glasshouse.errors import UpgradeError
from glasshouse.signals import uninterrupted

_OWN_END_S = 5.0
# What make passes on to a make below it, such as VERSION, which is meant for us.
_MAKE_VARIABLES = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}


def make(root: Path, target: str, *, own_session: bool = False, **variables: str) -> int:
    """Runs a target with its output on the terminal; returns its exit status. Interrupted, it is ended and waited for.

    Args:
        root: the checkout.
        target: what to make.
        own_session: whether Ctrl-C on the terminal is kept from it.
        variables: for make and what it runs.

    Raises:
        UpgradeError: There is no make.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _MAKE_VARIABLES}
    try:
        child = subprocess.Popen(  # noqa: S603 - the target is a fixed word
            ["make", target],  # noqa: S607 - the make on the PATH
            cwd=root,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            start_new_session=own_session,
        )
    except OSError as error:
        raise UpgradeError(f"make cannot be run: {error.strerror}.") from error
    try:
        return child.wait()
    except BaseException:
        with uninterrupted(), suppress(subprocess.TimeoutExpired):  # Ctrl-C on a terminal has reached it, too
            child.wait(_OWN_END_S)
        raise
    finally:
        if child.poll() is None:
            with uninterrupted():
                child.terminate()
                child.wait()
