"""What the stack needs where it runs without Docker."""

import ctypes
import os
import platform
import shutil
from collections.abc import Callable, Iterator

from glasshouse.doctor.finding import Finding, Target
from glasshouse.stack.shape import Shape

_OPENMP = "libgomp.so.1"
_SHARED = "/dev/shm"  # noqa: S108 - a place that is looked at
_MB = 1_000_000
_LITTLE_MEMORY_MB, _LITTLE_DISK_MB = 16, 500


def programs(shape: Shape) -> Iterator[Finding]:
    """The programs nginx and Prometheus, without which it runs in plain HTTP, and without a memory."""
    for choice, program in zip(shape.choices[-2:], (shape.nginx, shape.prometheus), strict=True):
        name = "nginx" if choice.aspect == "endpoint" else "prometheus"
        if program is not None:
            yield Finding("ok", name, str(program))
        else:
            yield Finding("warning", name, f"{choice.chosen}: {choice.reason}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def openmp(_: Target, *, loads: Callable[[str], bool] = _loads) -> Iterator[Finding]:
    """The library that llama.cpp computes with, which a minimal Debian lacks."""
    if platform.system() != "Linux":
        yield Finding("not checked", "OpenMP", "only Linux has it as a package")
    elif loads(_OPENMP):
        yield Finding("ok", "OpenMP", _OPENMP)
    else:
        yield Finding(
            "failure", "OpenMP", f"{_OPENMP} is missing, which llama.cpp needs", "apt-get install -y libgomp1"
        )


def shared_memory(target: Target) -> Iterator[Finding]:
    """Whether the gateway's counters can live in memory."""
    place = target.system.path(_SHARED)
    if not place.is_dir() or not os.access(place, os.W_OK):
        yield Finding(
            "warning",
            _SHARED,
            "nothing can be written there: counters go to the disk",
            "sudo mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
        )
        return
    free = shutil.disk_usage(place).free / _MB
    if free < _LITTLE_MEMORY_MB:
        yield Finding(
            "warning",
            _SHARED,
            f"{free:.0f} MB are free there, and the gateway's counters live there",
            "remove what fills it: ls -la /dev/shm",
        )
    else:
        yield Finding("ok", _SHARED, f"{free:.0f} MB are free")


def disk(target: Target) -> Iterator[Finding]:
    """Whether logs and metrics have room."""
    place = target.settings.run_dir
    place = next(one for one in (place, *place.parents) if one.exists())
    free = shutil.disk_usage(place).free / _MB
    text = f"{free:.0f} MB are free for {target.settings.shown(target.settings.run_dir)}/"
    if free < _LITTLE_DISK_MB:
        yield Finding("warning", "disk", f"{text}, and logs and metrics are lost when it is full", "make room")
    else:
        yield Finding("ok", "disk", text)
