"""A certificate for a domain by ACME, from a real ACME server: issue, renewal, and error messages."""

import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import yaml
from tests.support.compose.stack import ROOT, docker, until
from tests.support.nginx.acme_server import LIFETIME_S, AcmeServer, build_pebble, start_acme_client
from tests.support.nginx.containers import Container, NginxContainer, Sandbox

DOMAIN = "llm.glasshouse.test"


@pytest.fixture(scope="module")
def acme_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A place with an authority."""
    with ExitStack() as exits:
        sandbox = Sandbox.create(tmp_path_factory.mktemp("acme"), exits)
        AcmeServer.start(sandbox, build_pebble(tmp_path_factory.mktemp("pebble")))
        yield sandbox


def is_healthy(acme: Container) -> bool:
    """What the health check of compose.yaml finds."""
    kind, *command = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["acme"]["healthcheck"]["test"]
    assert kind == "CMD"
    return subprocess.run(("docker", "exec", acme.id, *command), capture_output=True, check=False).returncode == 0


def served_certificate(nginx: NginxContainer) -> bytes:
    """The certificate that nginx shows, whoever signed it."""
    return ssl.get_server_certificate(("127.0.0.1", nginx.port(443)), timeout=5).encode().strip()


@pytest.mark.timing
def test_a_certificate_is_issued_and_renewed_automatically(acme_sandbox: Sandbox) -> None:
    own = (acme_sandbox.tls / "cert.pem").read_bytes().strip()
    acme = start_acme_client(acme_sandbox, TLS_DOMAIN=DOMAIN, ACME_EMAIL="owner@glasshouse.test", ACME_INTERVAL="3")
    until(lambda: "waiting for nginx" in acme.logs(), 20, "it waits for nginx")
    assert not is_healthy(acme)
    nginx = acme_sandbox.nginx(f"--network-alias={DOMAIN}", TLS_DOMAIN=DOMAIN)
    assert served_certificate(nginx) == (acme_sandbox.tls / "cert.pem").read_bytes().strip() == own

    until(lambda: served_certificate(nginx) != own, 40, "nginx shows a new one")
    first = served_certificate(nginx)
    until(lambda: is_healthy(acme), 10, "it is healthy with a certificate")
    assert f"a certificate for {DOMAIN} by https://authority:14000/dir is in /run/glasshouse/tls" in acme.logs()
    assert "a new certificate is in use" in nginx.logs()
    text = subprocess.run(("openssl", "x509", "-noout", "-text"), input=first, capture_output=True, check=True).stdout
    assert f"DNS:{DOMAIN}".encode() in text
    assert b"Pebble" in text
    assert {path.name: path.stat().st_mode & 0o777 for path in acme_sandbox.tls.iterdir()} == {
        "cert.pem": 0o600,
        "key.pem": 0o600,
    }

    until(lambda: served_certificate(nginx) != first, LIFETIME_S + 20, "it is renewed")
    _ends_within(acme, 5)


def test_a_failure_says_what_is_wrong_and_leaves_the_certificate_alone(acme_sandbox: Sandbox) -> None:
    acme_sandbox.nginx()
    acme_sandbox.upstream("closed.glasshouse.test")  # answers, but not on port 80
    acme_sandbox.upstream("other.glasshouse.test", 80)  # another web server
    before = {path: path.read_bytes() for path in acme_sandbox.tls.iterdir()}
    tries = {
        "DNS has no address for nowhere.glasshouse.test: add an A record": {"TLS_DOMAIN": "nowhere.glasshouse.test"},
        "port 80 of closed.glasshouse.test cannot be reached": {"TLS_DOMAIN": "closed.glasshouse.test"},
        "other.glasshouse.test does not lead to this nginx": {"TLS_DOMAIN": "other.glasshouse.test"},
        "is not trusted here": {"TLS_DOMAIN": DOMAIN, "REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"},
        "cannot be reached from this container": {"TLS_DOMAIN": DOMAIN, "ACME_SERVER": "https://authority:1/dir"},
    }
    clients = {
        message: start_acme_client(acme_sandbox, f"acme-{number}", **settings)
        for number, (message, settings) in enumerate(tries.items())
    }
    for message, acme in clients.items():
        _wait_for_message(acme, "Next try in 15 minutes")
        (line,) = [line for line in acme.logs().splitlines() if "no certificate for" in line]
        assert message in line, acme.logs()
        assert not is_healthy(acme)
    assert {path: path.read_bytes() for path in acme_sandbox.tls.iterdir()} == before


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"TLS_DOMAIN": ""}, "TLS_DOMAIN=''"),
        ({"TLS_DOMAIN": "localhost"}, "TLS_DOMAIN='localhost'"),
        ({"TLS_DOMAIN": "a.example.org;id"}, "TLS_DOMAIN='a.example.org;id'"),
        ({"TLS_DOMAIN": DOMAIN, "ACME_EMAIL": "nobody"}, "ACME_EMAIL='nobody'"),
        ({"TLS_DOMAIN": DOMAIN, "ACME_STAGING": "yes"}, "ACME_STAGING='yes'"),
        ({"TLS_DOMAIN": DOMAIN, "ACME_SERVER": "http://authority/dir"}, "ACME_SERVER='http://authority/dir'"),
        ({"TLS_DOMAIN": DOMAIN, "ACME_INTERVAL": "often"}, "ACME_INTERVAL='often'"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(acme_sandbox: Sandbox, environment: dict[str, str], named: str) -> None:
    acme = start_acme_client(acme_sandbox, "acme", **environment)
    until(lambda: not acme.state["Running"], 10, "it ends")
    assert acme.state["ExitCode"] == 2
    assert acme.logs().startswith(f"nginx/acme.sh: {named} in the environment is not allowed: ")
    assert acme.logs().count("\n") == 1


@pytest.mark.timing
def test_it_ends_at_once_while_it_waits(sandbox: Sandbox) -> None:
    (sandbox.directory / "pebble").mkdir()
    (sandbox.directory / "pebble" / "cert.pem").touch()
    acme = start_acme_client(sandbox, TLS_DOMAIN=DOMAIN)
    until(lambda: "waiting for nginx" in acme.logs(), 20, "it waits for nginx")
    _ends_within(acme, 5)


def _wait_for_message(acme: Container, words: str) -> None:
    until(lambda: words in acme.logs(), 60, words)


def _ends_within(acme: Container, seconds: float) -> None:
    began = time.monotonic()
    docker("stop", "-t", "10", acme.id)
    assert time.monotonic() - began < seconds
