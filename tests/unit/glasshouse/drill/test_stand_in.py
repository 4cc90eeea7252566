"""The stand-in as the program that its container runs."""

import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.glasshouse.conftest import FakeApi, free_port

from glasshouse.drill.load import LoadFile
from glasshouse.secrets import certificate

CHAT = "/v1/chat/completions"


@dataclass
class StandIn:
    directory: Path
    pages: int
    tls: int

    def page(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.pages}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", self.tls)).encode())

    def status(self, path: str) -> int:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        try:
            with opener.open(f"https://127.0.0.1:{self.tls}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def present(self, days: int) -> None:
        pair = certificate.make((), datetime.now(UTC) + timedelta(days=days) - certificate.LIFETIME)
        (self.directory / "cert.pem").write_text(pair.certificate + pair.key)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    found = StandIn(tmp_path, free_port(), free_port())
    ports = ("--host", "127.0.0.1", "--pages-port", str(found.pages), "--tls-port", str(found.tls))
    with subprocess.Popen([sys.executable, "-m", "glasshouse.drill.stand_in", str(tmp_path), *ports]) as process:
        for port in (found.pages, found.tls):
            _wait_for(port, process)
        yield found
        process.terminate()
        assert process.wait(30) == 0


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert process.poll() is None
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("it does not listen")


def test_it_serves_what_is_in_its_directory_and_nothing_else(stand_in: StandIn) -> None:
    assert stand_in.page("/gpu") == (404, "")
    (stand_in.directory / "gpu.metrics").write_text("gpu_up 0\n")
    (stand_in.directory / "keys.yaml").write_text("a secret")
    assert stand_in.page("/gpu") == (200, "gpu_up 0\n")
    for path in ("/keys.yaml", "/../gpu", "/", "/gpu.metrics", "/%2e%2e/gpu"):
        assert stand_in.page(path)[0] == 404, path


def test_the_endpoint_presents_the_newest_certificate_and_answers_as_the_file_says(stand_in: StandIn) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):  # there is none yet; the next connection may find one
        stand_in.certificate()
    for days, status in ((3, 200), (90, 503)):
        stand_in.present(days)
        (stand_in.directory / "short.status").write_text(str(status))
        left = stand_in.certificate().not_valid_after_utc - datetime.now(UTC)
        assert round(left.total_seconds() / 86400) == days
        assert stand_in.status("/short") == status
    assert stand_in.status("/other") == 404


def test_requests_are_repeated_while_the_file_is_there(stand_in: StandIn, fake_api: FakeApi) -> None:
    file = stand_in.directory / "load.json"
    fake_api.answers[CHAT] = (500, {})
    file.write_text(LoadFile(fake_api.url, "a key", {"model": "m"}).text())
    _until(lambda: len(fake_api.requests) >= 6)
    path, headers, body = fake_api.requests[0]
    assert (path, headers["Authorization"], body) == (CHAT, "Bearer a key", {"model": "m"})
    file.unlink()
    time.sleep(1)  # what was begun ends
    count = len(fake_api.requests)
    time.sleep(1.5)
    assert len(fake_api.requests) == count


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it never held")
