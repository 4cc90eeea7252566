"""The certificate of the composed stack: renewed before it expires, while everything runs."""

import json
import os
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.support.compose.load import Load
from tests.support.compose.stack import ROOT, Stack, until

from glasshouse.secrets import certificate

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]


def shown(stack: Stack) -> str:
    return ssl.get_server_certificate(("127.0.0.1", stack.https_port), timeout=5).strip()


def put(stack: Stack, pem: str) -> None:
    """As the services' user would: atomically."""
    new = stack.certificate.with_name("new")
    new.write_text(pem)
    os.chown(new, 10001, 10001)
    new.rename(stack.certificate)


def test_a_certificate_near_its_expiry_is_renewed_without_a_restart_or_a_lost_request(stack: Stack) -> None:
    key = stack.certificate.with_name("key.pem").read_text()
    ending = certificate.make(now=datetime.now(UTC) - timedelta(days=195), key=key).certificate
    put(stack, ending)
    until(lambda: shown(stack) == ending.strip(), 15, "nginx has taken the one that ends soon")
    before = {row["Service"]: row["ID"] for row in stack.containers()}
    with Load(stack) as load:
        load.trust_any()
        stack.compose("restart", "certificate")  # it checks when it starts, and twice a day
        until(lambda: shown(stack) != ending.strip(), 30, "nginx has taken a new one")
        load.wait_for_answers(20)
    assert load.failures() == []
    assert certificate.renewal_reason(shown(stack), key) is None
    assert stack.certificate.with_name("key.pem").read_text() == key
    assert stack.certificate.stat().st_uid == 10001
    assert {row["Service"]: row["ID"] for row in stack.containers()} == before
    with stack.client(key=None) as client:
        assert client.get("/livez").status_code == httpx.codes.OK


def test_a_valid_certificate_is_left_alone(stack: Stack) -> None:
    before = stack.certificate.read_bytes()
    assert "nothing to do" in stack.execute("certificate", "glasshouse", "certificate")
    assert stack.certificate.read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://localhost:443/grafana/"),
        ({"PUBLIC_ADDRESS": "203.0.113.7"}, "https://203.0.113.7:443/grafana/"),
        ({"PUBLIC_ADDRESS": "[2001:db8::7]", "HTTPS_PORT": "8443"}, "https://[2001:db8::7]:8443/grafana/"),
        ({"PUBLIC_ADDRESS": "203.0.113.7", "TLS_DOMAIN": "llm.example.org"}, "https://llm.example.org:443/grafana/"),
    ],
    ids=str,
)
def test_grafanas_links_have_the_public_address(settings: dict[str, str], url: str) -> None:
    done = subprocess.run(
        ("docker", "compose", "--env-file", os.devnull, "-f", "compose.yaml", "config", "--format", "json"),
        cwd=ROOT, env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["services"]["grafana"]["environment"]["GF_SERVER_ROOT_URL"] == url
