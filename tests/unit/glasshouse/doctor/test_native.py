import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.glasshouse.doctor.conftest import Stub

from glasshouse.doctor import native
from glasshouse.stack import shape

_MB = 10**6
Which = Callable[..., Callable[[str], str | None]]


def test_programs_that_are_installed_or_not(stub: Stub, which: Which) -> None:
    settings = stub.target().settings
    nginx, prometheus = native.programs(shape.native(settings, "", which(nginx="/usr/sbin/nginx")))
    assert (nginx.level, nginx.subject, nginx.text) == ("ok", "nginx", "/usr/sbin/nginx")
    assert (prometheus.level, prometheus.subject) == ("warning", "prometheus")
    assert prometheus.text == (
        "only at http://127.0.0.1:9091/metrics: no Prometheus here; for it: apt-get install -y prometheus"
    )
    nginx, prometheus = native.programs(shape.native(settings, "", which(prometheus="/usr/bin/prometheus")))
    assert (nginx.level, nginx.text) == (
        "warning",
        "plain http://127.0.0.1:8000: no nginx here; for TLS: apt-get install -y nginx-light",
    )
    assert (prometheus.level, prometheus.text) == ("ok", "/usr/bin/prometheus")


@pytest.mark.parametrize(
    ("loads", "found"),
    [
        (True, ("ok", "libgomp.so.1", "")),
        (False, ("failure", "libgomp.so.1 is missing, but llama.cpp needs it", "apt-get install -y libgomp1")),
    ],
)
def test_openmp(stub: Stub, loads: bool, found: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load(name: str) -> bool:
        asked.append(name)
        return loads

    monkeypatch.setattr("platform.system", lambda: "Linux")
    (finding,) = native.openmp(stub.target("native"), can_load=load)
    assert (finding.level, finding.text, finding.remedy) == found
    assert asked == ["libgomp.so.1"]


def test_openmp_elsewhere_is_not_a_package(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    target = stub.target("native")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    (found,) = native.openmp(target)
    assert (found.level, found.text) == ("not checked", "only Linux packages it")


def test_a_library_is_loaded_or_not() -> None:
    assert native._can_load("libc.so.6")
    assert not native._can_load("libglasshouse-has-none.so.1")


def test_shared_memory(stub: Stub, bare: Path, free: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = (
        "warning",
        "it is not writable: counters go to the disk",
        "sudo mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
    )
    assert stub.finds(native.shared_memory, "native") == lacking
    (bare / "dev/shm").mkdir(parents=True)
    free(64 * _MB)
    assert stub.finds(native.shared_memory, "native") == ("ok", "64 MB are free", "")
    free(2 * _MB)
    assert stub.finds(native.shared_memory, "native") == (
        "warning",
        "2 MB are free, but the gateway's counters are there",
        "remove what fills it: ls -la /dev/shm",
    )
    target = stub.target("native")
    monkeypatch.setattr(os, "access", lambda *_: False)
    (found,) = native.shared_memory(target)
    assert (found.level, found.text, found.remedy) == lacking


def test_disk(stub: Stub, free: Callable[[float], None]) -> None:
    free(900 * _MB)
    place = stub.docker.root / ".run"
    assert stub.finds(native.disk, "native") == ("ok", f"900 MB are free for {place}/", "")
    free(100 * _MB)
    assert stub.finds(native.disk, "native") == (
        "warning",
        f"100 MB are free for {place}/, and logs and metrics are lost if it gets full",
        "free some space",
    )
