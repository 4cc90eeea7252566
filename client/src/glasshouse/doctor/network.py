"""The network: ports, packet sizes, firewall, IPv6."""

import re
from collections.abc import Iterator

from glasshouse.doctor import daemon
from glasshouse.doctor.finding import Finding, Target
from glasshouse.errors import PortError
from glasshouse.stack import ports
from glasshouse.system import System

_USUAL_MTU = 1500
_MTU_OPTION = "com.docker.network.driver.mtu"
_HAS_DEFAULT_OPTIONS = (24,)  # github.com/docker/cli/pull/4639; an older daemon does not start with them
_OUTWARD = ("edge", "downloads", "notifications")  # the networks in compose.yaml that lead out
_DEFAULT_ROUTE = "00000000"
_GLOBAL = "00"  # the scope of an address that is good beyond its link
_PRIVATE = ("fc", "fd")


def free_ports(_: Target, wanted: tuple[ports.Port, ...]) -> Iterator[Finding]:
    """Whether the ports that a start needs can be had, and who has them."""
    try:
        ports.check(wanted)
    except PortError as error:
        yield from (Finding("failure", "ports", line) for line in str(error).splitlines())
        return
    yield Finding("ok", "ports", f"{', '.join(str(port.number) for port in wanted)} are free")


def mtu(target: Target) -> Iterator[Finding]:
    """Whether this machine's network carries what Docker's send: Google's takes 1460 bytes, Docker's usual is 1500."""
    interface = _default_interface(target.system)
    carried = target.system.read(f"sys/class/net/{interface}/mtu").strip() if interface else ""
    if not carried.isdecimal():
        yield Finding("not checked", "MTU", "no interface has a default route")
        return
    used = _docker_mtu(target)
    if used <= int(carried):
        yield Finding("ok", "MTU", f"{interface} carries {carried} bytes, and Docker's networks send up to {used}")
        return
    if daemon.engine_version(target) >= _HAS_DEFAULT_OPTIONS:
        # "mtu" alone is for Docker's first network, not for those that Compose makes: moby/moby/issues/34981
        options = f'{{"default-network-opts": {{"bridge": {{"{_MTU_OPTION}": "{carried}"}}}}}}'
        remedy = f"{options} in /etc/docker/daemon.json; sudo systemctl restart docker; make down; make up"
    else:
        options = f'driver_opts: {{{_MTU_OPTION}: "{carried}"}}'
        remedy = f"compose.override.yaml with {options} for the networks {', '.join(_OUTWARD)}; make down; make up"
    yield Finding(
        "warning",
        "MTU",
        f"{interface} carries packets of {carried} bytes, and Docker's networks send up to {used}: downloads may stall",
        remedy,
    )


def firewall(target: Target) -> Iterator[Finding]:
    """Whether somebody may rely on ufw, round which Docker publishes ports."""
    place = "etc/ufw/ufw.conf"
    text = target.system.read(place)
    if not target.system.path(place).exists():
        yield Finding("ok", "ufw", "it is not installed")
    elif not text:
        yield Finding("not checked", "ufw", f"/{place} is not readable for you")
    elif re.search(r"^ENABLED=yes", text, re.MULTILINE | re.IGNORECASE):
        web = f"{target.settings.public_http_port} and {target.settings.public_https_port}"
        yield Finding(
            "warning",
            "ufw",
            f"it is on, but Docker publishes {web} past it: whoever reaches this machine reaches them",
            "close them in the cloud's firewall, or in iptables' chain DOCKER-USER",
        )
    else:
        yield Finding("ok", "ufw", "it is off")


def ipv6(target: Target) -> Iterator[Finding]:
    """Whether clients come over IPv6, whose addresses nginx does not see."""
    lines = [line.split() for line in target.system.read("proc/net/if_inet6").splitlines()]
    if any(fields[3:4] == [_GLOBAL] and not fields[0].startswith(_PRIVATE) for fields in lines):
        yield Finding(
            "warning",
            "IPv6",
            "Docker publishes ports at this machine's IPv6 address too, and nginx sees all of them as one "
            "client: limits per address count them together",
            "publish no AAAA record for this machine, or put a load balancer before it and name it in TRUSTED_PROXIES",
        )
    else:
        yield Finding("ok", "IPv6", "no public address")


def _docker_mtu(target: Target) -> int:
    """What the networks of this project have; before they are made, what new ones get."""
    project = target.setting("COMPOSE_PROJECT_NAME", "glasshouse")
    wanted = f'{{{{index .Options "{_MTU_OPTION}"}}}}'
    succeeded, output = False, ""
    if not target.machine.docker_trouble:
        succeeded, output = target.system.ask(
            "docker", "network", "inspect", "--format", wanted, f"{project}_{_OUTWARD[0]}"
        )
    if not succeeded:
        output = str(daemon.setting(target.system, "default-network-opts", "bridge", _MTU_OPTION))
    return int(output) if output.isdecimal() else _USUAL_MTU


def _default_interface(system: System) -> str:
    """The interface of the default route; of several, the one with the lowest metric."""
    rows = [line.split() for line in system.read("proc/net/route").splitlines()[1:]]
    routes = [(int(row[6]), row[0]) for row in rows if row[1:2] == [_DEFAULT_ROUTE] and row[7:8] == [_DEFAULT_ROUTE]]
    return min(routes, default=(0, ""))[1]
