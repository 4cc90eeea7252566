"""The machine itself: memory, open files, clock, time zone, Python."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from cryptography import x509

from glasshouse.doctor import daemon
from glasshouse.doctor.finding import Finding, Target
from glasshouse.settings import Kind

# The limits in compose.yaml are made for the 16 GB of a g2-standard-4, of which the kernel shows somewhat less. The
# others hold the demo model with room; a larger one says itself when it does not fit.
_MEMORY_GIB: dict[Kind, int] = {"gpu": 15, "cpu": 4, "native": 2}
_KIB_PER_GIB = 1024 * 1024
_FILES_PER_CONNECTION = 2  # one to the client, one to the engine
_OTHER_FILES = 256
_MINUTE = "%Y-%m-%d %H:%M"
_FILES = re.compile(r"^Max open files +(\S+) +(\S+)", re.MULTILINE)


def memory(target: Target) -> Iterator[Finding]:
    """Whether the memory holds what the containers may use."""
    match = re.search(r"^MemTotal: +(\d+) kB", target.system.read("proc/meminfo"), re.MULTILINE)
    if match is None:
        yield Finding("not checked", "memory", "there is no /proc/meminfo")
        return
    total, floor = int(match[1]) / _KIB_PER_GIB, _MEMORY_GIB[target.kind]
    if total >= floor:
        yield Finding("ok", "memory", f"{total:.1f} GiB")
    else:
        less = {"gpu": ", or lower VLLM_MEMORY and take a smaller model", "cpu": ", or lower LLAMACPP_MEMORY"}
        yield Finding(
            "warning",
            "memory",
            f"{total:.1f} GiB is less than the {floor} GiB that this shape needs",
            f"take a machine with more memory{less.get(target.kind, '')}",
        )


def open_files(target: Target) -> Iterator[Finding]:
    """Whether the hard limit of open files allows the connections that the gateway is set to serve."""
    connections = target.number("MAX_CONNECTIONS", 2048)
    needed = _FILES_PER_CONNECTION * connections + _OTHER_FILES
    if target.kind == "native":
        limit, owner, fix = _limit(target, "proc/self/limits"), "this shell's", "ulimit -Hn as root, or limits.conf"
    else:
        owner, fix = "a container's", f"LimitNOFILE={needed} in an override of containerd.service, then restart it"
        configured = daemon.setting(target.system, "default-ulimits", "nofile", "Hard")
        limit = configured if isinstance(configured, int) else _limit(target, _containerd(target))
    if limit is None:
        yield Finding("not checked", "open files", f"{owner} hard limit is not visible here")
    elif limit >= needed:
        yield Finding("ok", "open files", f"{owner} hard limit is {limit}")
    else:
        yield Finding(
            "warning",
            "open files",
            f"{owner} hard limit is {limit}, and MAX_CONNECTIONS={connections} needs {needed}",
            f"raise it ({fix}), or lower MAX_CONNECTIONS",
        )


def clock(target: Target) -> Iterator[Finding]:
    """Whether the clock is kept right, and stands behind the beginning of the certificate."""
    yield _synchronised(target)
    try:
        certificate = x509.load_pem_x509_certificate(target.settings.certificate.read_bytes())
    except (OSError, ValueError):  # none yet, another user's, or one that the start itself names
        return
    now = datetime.now(UTC)
    if now < certificate.not_valid_before_utc:
        yield Finding(
            "failure",
            "clock",
            f"it shows {now:{_MINUTE}} UTC, and the certificate begins {certificate.not_valid_before_utc:{_MINUTE}}",
            "sudo timedatectl set-ntp true",
        )


def time_zone(target: Target) -> Iterator[Finding]:
    """Which one the machine has, and whether the one of the quiet hours exists."""
    name = target.system.read("etc/timezone").strip()
    if not name:
        try:
            name = str(target.system.path("etc/localtime").readlink()).rpartition("zoneinfo/")[2]
        except OSError:
            name = ""
    yield (
        Finding("ok", "time zone", name)
        if name
        else Finding("not checked", "time zone", "this machine names no time zone")
    )
    zone = target.setting("ALERTS_TIMEZONE", "UTC")
    if target.kind == "native" or not available_timezones():
        return
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):  # unknown, a directory, and no name at all
        yield Finding(
            "warning",
            "time zone",
            f"ALERTS_TIMEZONE={zone!r} is not a time zone: quiet hours would be in UTC",
            "write it like Asia/Seoul; timedatectl list-timezones lists them",
        )


def python(target: Target) -> Iterator[Finding]:
    """Whether the virtual environment could be made anew, after `make clean` or an upgrade of the system."""
    if not target.system.has("python3"):
        yield Finding("not checked", "python3", "it is not on the PATH")
    elif target.system.ask("python3", "-c", "import venv, ensurepip")[0]:
        yield Finding("ok", "python3", "it can create virtual environments")
    else:
        yield Finding(
            "warning",
            "python3",
            "it cannot create virtual environments, which make needs when .venv is missing or outdated",
            "apt-get install -y python3-venv",
        )


def _synchronised(target: Target) -> Finding:
    if target.system.path("run/systemd/timesync/synchronized").exists():
        return Finding("ok", "clock", "synchronised")
    succeeded, answer = target.system.ask("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if succeeded and answer == "yes":
        return Finding("ok", "clock", "synchronised")
    if succeeded and answer == "no":
        return Finding(
            "warning",
            "clock",
            "it is not synchronised, but certificates, expiring keys and metrics need the right time",
            "sudo timedatectl set-ntp true",
        )
    return Finding("not checked", "clock", "timedatectl does not report whether it is synchronised")


def _containerd(target: Target) -> str:
    """The limits of containerd, which starts containers with its own."""
    for entry in target.system.entries("proc"):
        if entry.rpartition("/")[2].isdecimal() and target.system.read(f"{entry}/comm").strip() == "containerd":
            return f"{entry}/limits"
    return ""


def _limit(target: Target, place: str) -> int | None:
    match = _FILES.search(target.system.read(place)) if place else None
    if match is None:
        return None
    return int(match[2]) if match[2].isdecimal() else 2**31
