"""A certificate for a domain by ACME, from a real authority: issue, renewal, and what a failure says."""

import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import yaml
from tests.support.compose.stack import ROOT, docker, until
from tests.support.nginx.authority import LIFETIME_S, Authority, build, certbot
from tests.support.nginx.edge import Container, Edge, Place

DOMAIN = "llm.glasshouse.test"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place with an authority."""
    with ExitStack() as exits:
        place = Place.make(tmp_path_factory.mktemp("acme"), exits)
        Authority.start(place, build(tmp_path_factory.mktemp("pebble")))
        yield place


def is_healthy(acme: Container) -> bool:
    """What the health check of compose.yaml finds."""
    kind, *command = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["acme"]["healthcheck"]["test"]
    assert kind == "CMD"
    return subprocess.run(("docker", "exec", acme.id, *command), capture_output=True, check=False).returncode == 0


def presented(edge: Edge) -> bytes:
    """The certificate that nginx shows, whoever signed it."""
    return ssl.get_server_certificate(("127.0.0.1", edge.port(443)), timeout=5).encode().strip()


def test_a_certificate_is_issued_and_renewed_without_a_hand(town: Place) -> None:
    own = (town.tls / "cert.pem").read_bytes().strip()
    acme = certbot(town, TLS_DOMAIN=DOMAIN, ACME_EMAIL="owner@glasshouse.test", ACME_INTERVAL="3")
    until(lambda: "waiting for nginx" in acme.logs(), 20, "it waits for nginx")
    assert not is_healthy(acme)
    edge = town.edge(f"--network-alias={DOMAIN}", TLS_DOMAIN=DOMAIN)
    assert presented(edge) == (town.tls / "cert.pem").read_bytes().strip() == own

    until(lambda: presented(edge) != own, 40, "nginx shows a new one")
    first = presented(edge)
    until(lambda: is_healthy(acme), 10, "it is healthy with a certificate")
    assert f"a certificate for {DOMAIN} by https://authority:14000/dir is in /run/glasshouse/tls" in acme.logs()
    assert "a new certificate is in use" in edge.logs()
    text = subprocess.run(("openssl", "x509", "-noout", "-text"), input=first, capture_output=True, check=True).stdout
    assert f"DNS:{DOMAIN}".encode() in text
    assert b"Pebble" in text
    assert {path.name: path.stat().st_mode & 0o777 for path in town.tls.iterdir()} == {
        "cert.pem": 0o600,
        "key.pem": 0o600,
    }

    until(lambda: presented(edge) != first, LIFETIME_S + 20, "it is renewed")
    _ends_within(acme, 5)


def test_a_failure_says_what_is_wrong_and_leaves_the_certificate_alone(town: Place) -> None:
    town.edge()
    town.stand_in("closed.glasshouse.test")  # answers, but not on port 80
    town.stand_in("other.glasshouse.test", 80)  # another web server
    before = {path: path.read_bytes() for path in town.tls.iterdir()}
    tries = {
        "DNS has no address for nowhere.glasshouse.test: add an A record": {"TLS_DOMAIN": "nowhere.glasshouse.test"},
        "port 80 of closed.glasshouse.test cannot be reached": {"TLS_DOMAIN": "closed.glasshouse.test"},
        "other.glasshouse.test does not lead to this nginx": {"TLS_DOMAIN": "other.glasshouse.test"},
        "is not trusted here": {"TLS_DOMAIN": DOMAIN, "REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"},
        "cannot be reached from this container": {"TLS_DOMAIN": DOMAIN, "ACME_SERVER": "https://authority:1/dir"},
    }
    started = {said: certbot(town, f"acme-{n}", **tries[said]) for n, said in enumerate(tries)}
    for said, acme in started.items():
        _says(acme, "Next try in 15 minutes")
        (line,) = [line for line in acme.logs().splitlines() if "no certificate for" in line]
        assert said in line, acme.logs()
        assert not is_healthy(acme)
    assert {path: path.read_bytes() for path in town.tls.iterdir()} == before


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
def test_a_wrong_setting_is_named(town: Place, environment: dict[str, str], named: str) -> None:
    acme = certbot(town, "acme", **environment)
    until(lambda: not acme.state["Running"], 10, "it ends")
    assert acme.state["ExitCode"] == 2
    assert acme.logs().startswith(f"nginx/acme.sh: {named} in the environment is not allowed: ")
    assert acme.logs().count("\n") == 1


def test_it_ends_at_once_while_it_waits(place: Place) -> None:
    (place.directory / "pebble").mkdir()
    (place.directory / "pebble" / "cert.pem").touch()
    acme = certbot(place, TLS_DOMAIN=DOMAIN)
    until(lambda: "waiting for nginx" in acme.logs(), 20, "it waits for nginx")
    _ends_within(acme, 5)


def _says(acme: Container, words: str) -> None:
    until(lambda: words in acme.logs(), 60, words)


def _ends_within(acme: Container, seconds: float) -> None:
    began = time.monotonic()
    docker("stop", "-t", "10", acme.id)
    assert time.monotonic() - began < seconds
