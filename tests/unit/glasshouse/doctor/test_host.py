from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.glasshouse.doctor.conftest import Stub

from glasshouse.doctor import host
from glasshouse.secrets import certificate
from glasshouse.settings import Kind, load

_LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            {soft:<20} {hard:<20} files
"""


@pytest.mark.parametrize(
    ("kind", "total", "found"),
    [
        ("gpu", 16_390_000, ("ok", "15.6 GiB", "")),
        (
            "gpu",
            8_000_000,
            (
                "warning",
                "7.6 GiB is less than the 15 GiB that this shape needs",
                "take a machine with more memory, or lower VLLM_MEMORY and take a smaller model",
            ),
        ),
        (
            "cpu",
            2_000_000,
            (
                "warning",
                "1.9 GiB is less than the 4 GiB that this shape needs",
                "take a machine with more memory, or lower LLAMACPP_MEMORY",
            ),
        ),
        (
            "native",
            1_000_000,
            (
                "warning",
                "1.0 GiB is less than the 2 GiB that this shape needs",
                "take a machine with more memory",
            ),
        ),
    ],
)
def test_memory(stub: Stub, kind: Kind, total: int, found: tuple[str, str, str]) -> None:
    stub.file("proc/meminfo", f"MemTotal:       {total} kB\nMemFree:  1 kB\n")
    assert stub.finds(host.memory, kind) == found


def test_memory_that_is_not_told(stub: Stub) -> None:
    assert stub.finds(host.memory) == ("not checked", "there is no /proc/meminfo", "")


@pytest.mark.parametrize(("hard", "level"), [("1024", "warning"), ("4352", "ok"), ("unlimited", "ok")])
def test_open_files_natively_are_the_shells(stub: Stub, hard: str, level: str) -> None:
    stub.file("proc/self/limits", _LIMITS.format(soft=1024, hard=hard))
    found, text, remedy = stub.finds(host.open_files, "native")
    assert found == level
    if level == "warning":
        assert text == "this shell's hard limit is 1024, and MAX_CONNECTIONS=2048 needs 4352"
        assert remedy == "raise it (ulimit -Hn as root, or limits.conf), or lower MAX_CONNECTIONS"


def test_open_files_of_containers_are_containerds(stub: Stub) -> None:
    for number, name, hard in ((7, "bash", 99), (41, "containerd", 4000)):
        stub.file(f"proc/{number}/comm", f"{name}\n")
        stub.file(f"proc/{number}/limits", _LIMITS.format(soft=1024, hard=hard))
    stub.file("proc/self/limits", _LIMITS.format(soft=1024, hard=50))
    assert stub.finds(host.open_files) == (
        "warning",
        "a container's hard limit is 4000, and MAX_CONNECTIONS=2048 needs 4352",
        "raise it (LimitNOFILE=4352 in an override of containerd.service, then restart it), or lower MAX_CONNECTIONS",
    )
    assert stub.finds(host.open_files, MAX_CONNECTIONS="1000")[0] == "ok"
    # Docker's own setting beats what containerd has.
    stub.file(
        "etc/docker/daemon.json", '{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}}}'
    )
    assert stub.finds(host.open_files) == ("ok", "a container's hard limit is 64000", "")


def test_open_files_that_are_not_told(stub: Stub) -> None:
    assert stub.finds(host.open_files) == ("not checked", "a container's hard limit is not visible here", "")
    assert stub.finds(host.open_files, "native") == ("not checked", "this shell's hard limit is not visible here", "")


@pytest.mark.parametrize(
    ("message", "status", "found"),
    [
        ("yes", 0, ("ok", "synchronised", "")),
        (
            "no",
            0,
            (
                "warning",
                "it is not synchronised, but certificates, expiring keys and metrics need the right time",
                "sudo timedatectl set-ntp true",
            ),
        ),
        ("Failed to connect to bus", 1, ("not checked", "timedatectl does not report whether it is synchronised", "")),
        ("", 0, ("not checked", "timedatectl does not report whether it is synchronised", "")),
    ],
)
def test_clock(stub: Stub, message: str, status: int, found: tuple[str, str, str]) -> None:
    stub.docker.program("timedatectl", f"#!/bin/sh\necho '{message}'\nexit {status}\n")
    assert stub.finds(host.clock) == found


def test_clock_that_systemd_has_set(stub: Stub) -> None:
    stub.file("run/systemd/timesync/synchronized", "")
    assert stub.finds(host.clock) == ("ok", "synchronised", "")


def test_a_clock_before_the_certificate(stub: Stub) -> None:
    began = datetime.now(UTC) + timedelta(days=3)
    settings = load(stub.docker.root, {})
    settings.certificate.parent.mkdir(parents=True)
    settings.certificate.write_text(certificate.make((), now=began).certificate)
    _, found = host.clock(stub.target())
    assert (found.level, found.remedy) == ("failure", "sudo timedatectl set-ntp true")
    assert found.text.startswith(f"it shows {datetime.now(UTC):%Y-%m-%d}")
    assert "UTC, and the certificate begins" in found.text


def test_a_certificate_that_is_none_is_not_the_clocks(stub: Stub) -> None:
    settings = load(stub.docker.root, {})
    settings.certificate.parent.mkdir(parents=True)
    settings.certificate.write_text("no certificate")
    assert len(list(host.clock(stub.target()))) == 1


def test_time_zone(stub: Stub, bare: Path) -> None:
    assert stub.finds(host.time_zone) == ("not checked", "this machine names no time zone", "")
    (bare / "etc").mkdir()
    (bare / "etc/localtime").symlink_to("/usr/share/zoneinfo/Asia/Seoul")
    assert stub.finds(host.time_zone) == ("ok", "Asia/Seoul", "")
    stub.file("etc/timezone", "Europe/Berlin\n")
    assert stub.finds(host.time_zone) == ("ok", "Europe/Berlin", "")


@pytest.mark.parametrize("wished", ["Asia/Soul", "Asia", "../etc/passwd", "utc+9"])
def test_a_time_zone_of_quiet_hours_that_is_none(stub: Stub, wished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "available_timezones", lambda: {"UTC", "Asia/Seoul"})
    stub.file("etc/timezone", "UTC\n")
    _, found = host.time_zone(stub.target(ALERTS_TIMEZONE=wished))
    assert found.level == "warning"
    assert found.text == f"ALERTS_TIMEZONE={wished!r} is not a time zone: quiet hours would be in UTC"
    assert found.remedy == "write it like Asia/Seoul; timedatectl list-timezones lists them"
    assert len(list(host.time_zone(stub.target("native", ALERTS_TIMEZONE=wished)))) == 1  # it has no Grafana


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (0, ("ok", "it can create virtual environments", "")),
        (
            1,
            (
                "warning",
                "it cannot create virtual environments, which make needs when .venv is missing or outdated",
                "apt-get install -y python3-venv",
            ),
        ),
    ],
)
def test_python(stub: Stub, status: int, found: tuple[str, str, str]) -> None:
    stub.docker.program("python3", f"#!/bin/sh\nexit {status}\n")
    assert stub.finds(host.python) == found


def test_python_that_is_not_there(stub: Stub) -> None:
    target = stub.target()
    (found,) = host.python(
        type(target)(target.settings, type(target.system)({"PATH": "/nowhere"}), target.machine, "cpu")
    )
    assert (found.level, found.text) == ("not checked", "it is not on the PATH")
