"""The certificate of the composed stack: made anew before its end, while everything runs."""

import json
import os
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from typing import Self

import httpx
import pytest
from tests.stack.parts.stack import ROOT, Stack, until

from glasshouse import certificate

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]


class Load:
    """Clients that ask on a kept connection and on new ones, until they are told to end."""

    def __init__(self, stack: Stack) -> None:
        self._url = f"https://localhost:{stack.https_port}/livez"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(kept,)) for kept in (True, True, False)]
        self.failures: list[Exception | int] = []
        self.done = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, kept: bool) -> None:
        # Which of the two certificates is shown is asked elsewhere.
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        limits = None if kept else httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(verify=anybody, timeout=20, trust_env=False, limits=limits or httpx.Limits()) as client:
            while not self._over.wait(0.02):
                try:
                    status = client.get(self._url).status_code
                except httpx.HTTPError as error:
                    self.failures.append(error)
                else:
                    self.done += 1
                    if status != httpx.codes.OK:
                        self.failures.append(status)


def shown(stack: Stack) -> str:
    return ssl.get_server_certificate(("127.0.0.1", stack.https_port), timeout=5).strip()


def put(stack: Stack, pem: str) -> None:
    """As the services' user would: at once."""
    new = stack.certificate.with_name("new")
    new.write_text(pem)
    os.chown(new, 10001, 10001)
    new.rename(stack.certificate)


def test_one_near_its_end_is_renewed_without_a_start_and_without_a_drop(stack: Stack) -> None:
    key = stack.certificate.with_name("key.pem").read_text()
    ending = certificate.make(now=datetime.now(UTC) - timedelta(days=195), key=key).certificate
    put(stack, ending)
    until(lambda: shown(stack) == ending.strip(), 15, "nginx has taken the one that ends soon")
    before = {row["Service"]: row["ID"] for row in stack.containers()}
    with Load(stack) as load:
        stack.compose("restart", "certificate")  # it looks when it starts, and twice a day
        until(lambda: shown(stack) != ending.strip(), 30, "nginx has taken a new one")
    assert load.failures == []
    assert load.done > 20
    assert certificate.why_new(shown(stack), key) is None
    assert stack.certificate.with_name("key.pem").read_text() == key
    assert stack.certificate.stat().st_uid == 10001
    assert {row["Service"]: row["ID"] for row in stack.containers()} == before
    with stack.client(key=None) as client:
        assert client.get("/livez").status_code == httpx.codes.OK


def test_one_that_is_good_is_left_alone(stack: Stack) -> None:
    before = stack.certificate.read_bytes()
    assert stack.execute("certificate", "glasshouse", "renew-certificate") == ""
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
def test_grafanas_links_lead_to_where_the_stack_is(settings: dict[str, str], url: str) -> None:
    done = subprocess.run(
        ("docker", "compose", "--env-file", os.devnull, "-f", "compose.yaml", "config", "--format", "json"),
        cwd=ROOT, env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["services"]["grafana"]["environment"]["GF_SERVER_ROOT_URL"] == url
