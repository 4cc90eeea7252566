"""How nginx starts, follows its gateway, and stops."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.compose.stack import docker, until
from tests.support.nginx.client import NginxClient, encode_request
from tests.support.nginx.containers import NginxContainer, Sandbox

CHAT = "/v1/chat/completions"


def pid_in(nginx: NginxContainer, name: str) -> str:
    """The pid in the container of the first process whose title starts so."""
    titled = f'case "$(tr "\\0" " " <$p/cmdline)" in "{name}"*) echo ${{p#/proc/}}; exit;; esac'
    script = f"for p in /proc/[0-9]*; do {titled}; done"
    return docker("exec", nginx.id, "sh", "-c", script).strip()


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
def test_an_invalid_setting_is_named_and_nothing_starts(nginx: NginxContainer, name: str, value: str) -> None:
    command = ("docker", "exec", f"--env={name}={value}", nginx.id, "sh", "/etc/glasshouse/nginx/start.sh")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"nginx/start.sh: {name}='")
    assert done.stderr.endswith(("is.\n", "are.\n"))
    assert "in the environment is not allowed: " in done.stderr


def test_every_setting_at_once_and_empty_ones_count_as_unset(sandbox: Sandbox) -> None:
    sandbox.nginx(
        TLS_DOMAIN="xn--bcher-kva.example.org", TRUSTED_PROXIES="10.0.0.1, 10.0.0.0/8 ,2001:db8::/32,::1",
        MAX_BODY_BYTES="1073741824", TOTAL_TIMEOUT="70.5", SHUTDOWN_GRACE="3600", HTTPS_PORT="", RATE_LIMIT_RPS="",
        CONNECTIONS_PER_IP="0",
    )  # fmt: skip


def test_it_writes_into_one_folder_and_has_no_capability(nginx: NginxContainer) -> None:
    assert docker("exec", nginx.id, "ls", "/tmp").split() == ["nginx"]  # noqa: S108 - in the container
    assert docker("exec", nginx.id, "sh", "-c", "cat /proc/[0-9]*/status | grep ^CapEff | sort -u").split() == [
        "CapEff:",
        "0000000000000000",
    ]


def test_a_gateway_with_a_new_address_is_found_again(sandbox: Sandbox) -> None:
    first = sandbox.upstream()
    nginx = sandbox.nginx()
    client = NginxClient(nginx, sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    address = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", first.id)
    docker("rm", "-f", first.id)
    sandbox.run(alias="taken", image="glasshouse-test/python:3.11", command=("sleep", "60"))  # takes the old address
    second = sandbox.upstream()
    now = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", second.id)
    assert now != address
    until(client.is_served, 30, "the gateway is found again")
    assert nginx.state["Running"]


def test_a_stop_lets_a_running_stream_end(sandbox: Sandbox) -> None:
    sandbox.upstream()
    nginx = sandbox.nginx(SHUTDOWN_GRACE="20")
    client = NginxClient(nginx, sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    with ThreadPoolExecutor(1) as aside, client.open_tls() as raw:
        raw.send(encode_request(CHAT, do={"stream": 15, "every": 0.2})).read_until(b"data: 0")
        ended = aside.submit(docker, "stop", "-t", "30", nginx.id)
        assert len(raw.read_response().event_data) == 16
    ended.result(15)
    assert nginx.state["ExitCode"] == 0


@pytest.mark.timing
@pytest.mark.parametrize("number", ["QUIT", "TERM"])
def test_a_stop_waits_no_longer_than_its_grace(sandbox: Sandbox, number: str) -> None:
    sandbox.upstream()
    nginx = sandbox.nginx(SHUTDOWN_GRACE="2")
    client = NginxClient(nginx, sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    with client.open_tls() as raw:
        raw.send(encode_request(CHAT, do={"stream": 100, "every": 0.2})).read_until(b"data: 0")
        began = time.monotonic()
        docker("kill", f"--signal={number}", nginx.id)
        until(lambda: not nginx.state["Running"], 10, "it ends")
    assert 1.5 < time.monotonic() - began < 5
    assert nginx.state["ExitCode"] == 0


def test_when_nginx_dies_the_container_ends(sandbox: Sandbox) -> None:
    nginx = sandbox.nginx()
    # In the background: the container may end, and this with it, before the command has returned.
    docker("exec", "--detach", nginx.id, "sh", "-c", f"kill -9 {pid_in(nginx, 'nginx: master')}")
    until(lambda: not nginx.state["Running"], 5, "the container ends")
    assert nginx.state["ExitCode"] == 137


def test_a_worker_that_dies_is_replaced(sandbox: Sandbox) -> None:
    sandbox.upstream()
    nginx = sandbox.nginx()
    client = NginxClient(nginx, sandbox.tls / "cert.pem")
    docker("exec", nginx.id, "sh", "-c", f"kill -9 {pid_in(nginx, 'nginx: worker')}")
    until(client.is_served, 30, "it serves")
