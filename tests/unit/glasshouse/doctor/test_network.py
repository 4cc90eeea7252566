import socket
from functools import partial
from pathlib import Path

import pytest
import yaml
from tests.unit.glasshouse.doctor.conftest import Stub

from glasshouse.doctor import network
from glasshouse.stack import ports

_ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
wlan0	00000000	0100A8C0	0003	0	0	600	00000000	0	0	0
ens4	00000000	0100800A	0003	0	0	100	00000000	0	0	0
"""


@pytest.fixture
def carries(stub: Stub) -> None:
    """A machine on Google's network."""
    stub.file("proc/net/route", _ROUTES)
    stub.file("sys/class/net/ens4/mtu", "1460\n")
    stub.file("sys/class/net/wlan0/mtu", "1500\n")


def test_ports_that_are_taken_are_named_with_who_has_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        number, free = int(listener.getsockname()[1]), int(other.getsockname()[1])
        wanted = ports.Port(number, "127.0.0.1", "nginx", "HTTPS_PORT")
        (found,) = network.free_ports(None, (wanted,))  # type: ignore[arg-type]  # it looks at no machine
    assert (found.level, found.subject) == ("failure", "ports")
    assert found.text.startswith(f"Port {number} (nginx) is taken by process ")
    assert "make up HTTPS_PORT=" in found.text
    check = partial(network.free_ports, wanted=(ports.Port(free, "127.0.0.1", "nginx", "HTTPS_PORT"),))
    (found,) = check(None)  # type: ignore[arg-type]  # likewise
    assert (found.level, found.text) == ("ok", f"{free} are free")


@pytest.mark.usefixtures("carries")
def test_mtu_that_docker_does_not_know(stub: Stub) -> None:
    options = '{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1460"}}}'
    found = "ens4 carries packets of 1460 bytes, and Docker's networks send up to 1500: downloads may stall"
    remedy = f"{options} in /etc/docker/daemon.json; sudo systemctl restart docker; make down; make up"
    assert stub.finds(network.mtu) == ("warning", found, remedy)
    # What stands there for Docker's first network is not for those of Compose.
    stub.file("etc/docker/daemon.json", '{"mtu": 1460}')
    assert stub.finds(network.mtu)[0] == "warning"
    stub.file("etc/docker/daemon.json", options)
    good = ("ok", "ens4 carries 1460 bytes, and Docker's networks send up to 1460", "")
    assert stub.finds(network.mtu) == good
    # Networks that are there keep what they were made with.
    stub.docker.plan(networks={"glasshouse_edge": ""})
    assert stub.finds(network.mtu) == ("warning", found, remedy)
    stub.docker.plan(networks={"glasshouse_edge": "1460"})
    stub.file("etc/docker/daemon.json", "{}")
    assert stub.finds(network.mtu) == good
    assert stub.finds(network.mtu, COMPOSE_PROJECT_NAME="another")[0] == "warning"


@pytest.mark.usefixtures("carries")
def test_mtu_with_a_docker_that_has_no_defaults_for_it(stub: Stub) -> None:
    stub.docker.plan(version="20.10.24+dfsg1")
    assert stub.finds(network.mtu)[2] == (
        'compose.override.yaml with driver_opts: {com.docker.network.driver.mtu: "1460"} '
        "for the networks edge, downloads, notifications; make down; make up"
    )


@pytest.mark.usefixtures("carries")
@pytest.mark.parametrize("mtu", ["1500", "8896", "9000"])
def test_mtu_that_is_large_enough(stub: Stub, mtu: str) -> None:
    stub.file("sys/class/net/ens4/mtu", mtu)
    assert stub.finds(network.mtu)[0] == "ok"


def test_mtu_that_is_not_shown(stub: Stub) -> None:
    assert stub.finds(network.mtu) == ("not checked", "no interface has a default route", "")


def test_the_networks_that_lead_out_are_those_of_compose() -> None:
    text = (Path(__file__).resolve().parents[4] / "compose.yaml").read_text(encoding="utf-8")
    networks = yaml.safe_load(text)["networks"]
    assert set(network._OUTWARD) == {name for name, options in networks.items() if not options.get("internal")}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# /etc/ufw/ufw.conf\nENABLED=no\nLOGLEVEL=low\n", ("ok", "it is off", "")),
        (
            "ENABLED=yes\nLOGLEVEL=low\n",
            (
                "warning",
                "it is on, but Docker publishes 80 and 443 past it: whoever reaches this machine reaches them",
                "close them in the cloud's firewall, or in iptables' chain DOCKER-USER",
            ),
        ),
        ("", ("not checked", "/etc/ufw/ufw.conf is not readable for you", "")),
    ],
)
def test_ufw(stub: Stub, text: str, found: tuple[str, str, str]) -> None:
    assert stub.finds(network.firewall) == ("ok", "it is not installed", "")
    stub.file("etc/ufw/ufw.conf", text)
    assert stub.finds(network.firewall) == found


_LINK_LOCAL = "fe8000000000000000fc00fffe000001 04 40 20 80     ens4"
_LOOPBACK = "00000000000000000000000000000001 01 80 10 80       lo"
_PRIVATE = "fd000000000000000000000000000002 04 40 00 82     ens4"
_PUBLIC = "20010db8000000000000000000000002 04 40 00 82     ens4"


@pytest.mark.parametrize(
    ("addresses", "level"),
    [((), "ok"), ((_LINK_LOCAL, _LOOPBACK, _PRIVATE), "ok"), ((_LINK_LOCAL, _PUBLIC), "warning")],
)
def test_ipv6(stub: Stub, addresses: tuple[str, ...], level: str) -> None:
    stub.file("proc/net/if_inet6", "".join(f"{address}\n" for address in addresses))
    found, text, remedy = stub.finds(network.ipv6)
    assert found == level
    if level == "warning":
        assert text == (
            "Docker publishes ports at this machine's IPv6 address too, and nginx sees all of them as one "
            "client: limits per address count them together"
        )
        assert remedy.startswith("publish no AAAA record")
