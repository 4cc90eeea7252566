"""A new certificate is loaded without a lost request; an incomplete one is not loaded."""

import ssl
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Self

import pytest
from tests.support.compose.stack import until
from tests.support.nginx.client import NginxClient, encode_request
from tests.support.nginx.containers import NginxContainer, NginxProcess, Sandbox

from glasshouse.secrets import certificate


def served_certificate(nginx: NginxContainer) -> str:
    return ssl.get_server_certificate(("127.0.0.1", nginx.port(443)), timeout=5).strip()


class Load:
    """Clients that send request after request, on reused and on new connections, and one that reads a stream."""

    def __init__(self, nginx: NginxContainer, trusted: Path, *, kept: bool) -> None:
        self._client = NginxClient(nginx, trusted)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,))
            for work in (*((self._kept, self._kept) if kept else ()), self._new, self._stream)
        ]
        self.done = count()
        self.failures: list[BaseException] = []
        self.events = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - every failure counts
            self.failures.append(error)

    def _kept(self) -> None:
        while not self._over.is_set():
            with self._client.open_tls() as raw:
                for _ in range(200):
                    response = raw.send(encode_request("/livez")).read_response()
                    raw.reads.clear()
                    assert response.status == 200
                    next(self.done)
                    # Told that it is the last one, a client goes; it is not cut off.
                    if response.headers.get("connection") == "close" or self._over.wait(0.01):
                        break

    def _new(self) -> None:
        while not self._over.wait(0.02):
            assert self._client.request("/livez").status == 200
            next(self.done)

    def _stream(self) -> None:
        with self._client.open_tls() as raw:
            raw.send(encode_request("/v1/chat/completions", do={"stream": 30, "every": 0.2}))
            self.events = len(raw.read_response().event_data)


@pytest.mark.parametrize("where", ["docker", "native"])
def test_a_certificate_is_rotated_under_load_without_a_drop(sandbox: Sandbox, tmp_path: Path, where: str) -> None:
    # A stop would wait one second; a reload waits for the stream all the same.
    nginx = sandbox.start_nginx(where, RATE_LIMIT_RPS="0", SHUTDOWN_GRACE="1")
    old, new = (sandbox.tls / "cert.pem").read_text(), certificate.make()
    both = tmp_path / "both.pem"
    both.write_text(old + new.certificate)
    client = NginxClient(nginx, both)
    until(client.is_served, 30, "the gateway is found")
    # Without keepalive_min_timeout, which many distributions do not have yet, idle connections are closed at once.
    kept = not isinstance(nginx, NginxProcess) or "keepalive_min_timeout" in (nginx.prefix / "nginx.conf").read_text()
    with Load(nginx, both, kept=kept) as load:
        time.sleep(1)
        sandbox.put_certificate(new)
        until(lambda: served_certificate(nginx) == new.certificate.strip(), 15, "the new certificate is shown")
        time.sleep(2)
    assert load.failures == []
    assert load.events == 31
    assert next(load.done) > 50


@pytest.mark.parametrize("where", ["docker", "native"])
def test_half_of_a_new_pair_is_not_loaded_until_it_is_complete(sandbox: Sandbox, where: str) -> None:
    nginx = sandbox.start_nginx(where)
    old, new = served_certificate(nginx), certificate.make()
    sandbox.put("cert.pem", new.certificate)
    until(lambda: "the old one stays" in nginx.logs(), 10, "half of a pair is refused")
    time.sleep(2.5)
    assert nginx.logs().count("the old one stays") == 1
    assert served_certificate(nginx) == old
    sandbox.put("key.pem", new.key)
    until(lambda: served_certificate(nginx) == new.certificate.strip(), 10, "the whole pair is taken")
    sandbox.put("cert.pem", new.certificate[:300])
    until(lambda: nginx.logs().count("the old one stays") == 2, 10, "half of a file is refused")
    assert nginx.state["Running"]


def test_a_start_during_a_change_waits_for_the_other_half(sandbox: Sandbox) -> None:
    new = certificate.make()
    sandbox.put("cert.pem", new.certificate)
    nginx = sandbox.nginx(wait=False)
    time.sleep(1.5)
    sandbox.put("key.pem", new.key)
    until(nginx.is_healthy, 10, "it starts")
    assert served_certificate(nginx) == new.certificate.strip()


def test_the_error_without_a_certificate_names_what_creates_one(sandbox: Sandbox) -> None:
    (sandbox.tls / "key.pem").unlink()
    nginx = sandbox.nginx(wait=False)
    until(lambda: not nginx.state["Running"], 20, "it ends")
    assert nginx.state["ExitCode"] == 1
    assert "cannot be read by user" in nginx.logs()
    assert "the service init makes them" in nginx.logs()
