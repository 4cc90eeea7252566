"""How nginx starts, moves with its gateway, and ends."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.compose.stack import docker, until
from tests.support.nginx.edge import Edge, Place
from tests.support.nginx.talk import Client, encode_request

CHAT = "/v1/chat/completions"


def pid_in(edge: Edge, name: str) -> str:
    """The pid in the container of the first process whose title starts so."""
    titled = f'case "$(tr "\\0" " " <$p/cmdline)" in "{name}"*) echo ${{p#/proc/}}; exit;; esac'
    script = f"for p in /proc/[0-9]*; do {titled}; done"
    return docker("exec", edge.id, "sh", "-c", script).strip()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TLS_DOMAIN", "localhost"),
        ("TLS_DOMAIN", "-a.example.org"),
        ("TLS_DOMAIN", "a..example.org"),
        ("TLS_DOMAIN", "a.example.org; return 200"),
        ("TLS_DOMAIN", "a.example.org\nb"),
        ("TLS_DOMAIN", "10.0.0.1"),
        ("TLS_DOMAIN", f"{'a' * 64}.example.org"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.256"),
        ("TRUSTED_PROXIES", "10.0.0"),
        ("TRUSTED_PROXIES", "2001:db8::/129"),
        ("TRUSTED_PROXIES", "2001:db8:::1"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
        ("TRUSTED_PROXIES", "proxy"),
        ("TRUSTED_PROXIES", "cafe.be"),
        ("TRUSTED_PROXIES", "10.0.0.1;"),
        ("MAX_BODY_BYTES", "10m"),
        ("MAX_BODY_BYTES", "1023"),
        ("MAX_BODY_BYTES", "99999999999"),
        ("TOTAL_TIMEOUT", "0"),
        ("TOTAL_TIMEOUT", "90s"),
        ("TOTAL_TIMEOUT", "1.2.3"),
        ("SHUTDOWN_GRACE", "-1"),
        ("SHUTDOWN_GRACE", "1.5"),
        ("HTTPS_PORT", "65536"),
        ("RATE_LIMIT_RPS", "many"),
        ("CONNECTIONS_PER_IP", "1e3"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_and_nothing_starts(edge: Edge, name: str, value: str) -> None:
    command = ("docker", "exec", f"--env={name}={value}", edge.id, "sh", "/etc/glasshouse/nginx/start.sh")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"nginx/start.sh: {name}='")
    assert done.stderr.endswith(("is.\n", "are.\n"))
    assert "in the environment is not allowed: " in done.stderr


def test_every_setting_at_once_and_empty_ones_count_as_unset(place: Place) -> None:
    place.edge(
        TLS_DOMAIN="xn--bcher-kva.example.org", TRUSTED_PROXIES="10.0.0.1, 10.0.0.0/8 ,2001:db8::/32,::1",
        MAX_BODY_BYTES="1073741824", TOTAL_TIMEOUT="70.5", SHUTDOWN_GRACE="3600", HTTPS_PORT="", RATE_LIMIT_RPS="",
        CONNECTIONS_PER_IP="0",
    )  # fmt: skip


def test_it_writes_into_one_folder_and_has_no_capability(edge: Edge) -> None:
    assert docker("exec", edge.id, "ls", "/tmp").split() == ["nginx"]  # noqa: S108 - in the container
    assert docker("exec", edge.id, "sh", "-c", "cat /proc/[0-9]*/status | grep ^CapEff | sort -u").split() == [
        "CapEff:",
        "0000000000000000",
    ]


def test_a_gateway_that_comes_back_elsewhere_is_found(place: Place) -> None:
    first = place.stand_in()
    edge = place.edge()
    client = Client(edge, place.tls / "cert.pem")
    until(lambda: client.ask("/livez").status == 200, 10, "the gateway is found")
    address = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", first.id)
    docker("rm", "-f", first.id)
    place.run(alias="taken", image="glasshouse-test/python:3.11", command=("sleep", "60"))  # takes the old address
    second = place.stand_in()
    now = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", second.id)
    assert now != address
    until(lambda: client.ask("/livez").status == 200, 10, "the gateway is found again")
    assert edge.state["Running"]


def test_a_stop_lets_a_running_stream_end(place: Place) -> None:
    place.stand_in()
    edge = place.edge(SHUTDOWN_GRACE="20")
    client = Client(edge, place.tls / "cert.pem")
    until(lambda: client.ask("/livez").status == 200, 10, "the gateway is found")
    with ThreadPoolExecutor(1) as aside, client.open() as raw:
        raw.send(encode_request(CHAT, do={"stream": 15, "every": 0.2})).read_until(b"data: 0")
        ended = aside.submit(docker, "stop", "-t", "30", edge.id)
        assert len(raw.read_response().event_data) == 16
    ended.result(15)
    assert edge.state["ExitCode"] == 0


@pytest.mark.timing
@pytest.mark.parametrize("number", ["QUIT", "TERM"])
def test_a_stop_waits_no_longer_than_its_grace(place: Place, number: str) -> None:
    place.stand_in()
    edge = place.edge(SHUTDOWN_GRACE="2")
    client = Client(edge, place.tls / "cert.pem")
    until(lambda: client.ask("/livez").status == 200, 10, "the gateway is found")
    with client.open() as raw:
        raw.send(encode_request(CHAT, do={"stream": 100, "every": 0.2})).read_until(b"data: 0")
        began = time.monotonic()
        docker("kill", f"--signal={number}", edge.id)
        until(lambda: not edge.state["Running"], 10, "it ends")
    assert 1.5 < time.monotonic() - began < 5
    assert edge.state["ExitCode"] == 0


def test_when_nginx_dies_the_container_ends(place: Place) -> None:
    edge = place.edge()
    # In the background: the container may end, and this with it, before the command has returned.
    docker("exec", "--detach", edge.id, "sh", "-c", f"kill -9 {pid_in(edge, 'nginx: master')}")
    until(lambda: not edge.state["Running"], 5, "the container ends")
    assert edge.state["ExitCode"] == 137


def test_when_a_worker_dies_another_takes_its_place(place: Place) -> None:
    place.stand_in()
    edge = place.edge()
    client = Client(edge, place.tls / "cert.pem")
    docker("exec", edge.id, "sh", "-c", f"kill -9 {pid_in(edge, 'nginx: worker')}")
    until(lambda: client.ask("/livez").status == 200, 10, "it serves")
