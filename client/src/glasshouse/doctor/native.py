"""What the stack needs where it runs without Docker."""

import ctypes
import os
import platform
import shutil
from collections.abc import Callable, Iterator

from glasshouse.doctor.finding import Finding, Target
from glasshouse.stack.shape import Shape

_OPENMP = "libgomp.so.1"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - only checked, and never written to
_MB = 1_000_000
_MIN_MEMORY_MB, _MIN_DISK_MB = 16, 500


def programs(shape: Shape) -> Iterator[Finding]:
    """The programs nginx and Prometheus, without which it runs in plain HTTP, and without a memory."""
    for choice, program in zip(shape.choices[-2:], (shape.nginx, shape.prometheus), strict=True):
        name = "nginx" if choice.aspect == "endpoint" else "prometheus"
        if program is not None:
            yield Finding("ok", name, str(program))
        else:
            yield Finding("warning", name, f"{choice.chosen}: {choice.reason}")


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def openmp(_: Target, *, can_load: Callable[[str], bool] = _can_load) -> Iterator[Finding]:
    """The library that llama.cpp computes with, which a minimal Debian lacks."""
    if platform.system() != "Linux":
        yield Finding("not checked", "OpenMP", "only Linux packages it")
    elif can_load(_OPENMP):
        yield Finding("ok", "OpenMP", _OPENMP)
    else:
        yield Finding(
            "failure", "OpenMP", f"{_OPENMP} is missing, but llama.cpp needs it", "apt-get install -y libgomp1"
        )


def shared_memory(target: Target) -> Iterator[Finding]:
    """Whether the gateway's counters can live in memory."""
    path = target.system.path(_SHARED_MEMORY)
    if not path.is_dir() or not os.access(path, os.W_OK):
        yield Finding(
            "warning",
            _SHARED_MEMORY,
            "it is not writable: counters go to the disk",
            "sudo mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
        )
        return
    free = shutil.disk_usage(path).free / _MB
    if free < _MIN_MEMORY_MB:
        yield Finding(
            "warning",
            _SHARED_MEMORY,
            f"{free:.0f} MB are free, but the gateway's counters are there",
            "remove what fills it: ls -la /dev/shm",
        )
    else:
        yield Finding("ok", _SHARED_MEMORY, f"{free:.0f} MB are free")


def disk(target: Target) -> Iterator[Finding]:
    """Whether logs and metrics have room."""
    path = target.settings.run_dir
    path = next(directory for directory in (path, *path.parents) if directory.exists())
    free = shutil.disk_usage(path).free / _MB
    text = f"{free:.0f} MB are free for {target.settings.shown(target.settings.run_dir)}/"
    if free < _MIN_DISK_MB:
        yield Finding("warning", "disk", f"{text}, and logs and metrics are lost if it gets full", "free some space")
    else:
        yield Finding("ok", "disk", text)
