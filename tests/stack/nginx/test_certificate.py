"""A new certificate is taken without a request lost; half of one is not taken at all."""

import ssl
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Self

import pytest
from tests.support.compose.stack import until
from tests.support.nginx.edge import Edge, NativeEdge, Place
from tests.support.nginx.talk import Client, encode

from glasshouse.secrets import certificate


def presented(edge: Edge) -> str:
    return ssl.get_server_certificate(("127.0.0.1", edge.port(443)), timeout=5).strip()


class Load:
    """Clients that ask as fast as they are answered, on kept and on new connections, and one that reads a stream."""

    def __init__(self, edge: Edge, trusted: Path, *, kept: bool) -> None:
        self._client = Client(edge, trusted)
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
            with self._client.open() as raw:
                for _ in range(200):
                    answer = raw.send(encode("/livez")).answer()
                    raw.pieces.clear()
                    assert answer.status == 200
                    next(self.done)
                    # Told that it is the last one, a client goes; it is not cut off.
                    if answer.headers.get("connection") == "close" or self._over.wait(0.01):
                        break

    def _new(self) -> None:
        while not self._over.wait(0.02):
            assert self._client.ask("/livez").status == 200
            next(self.done)

    def _stream(self) -> None:
        with self._client.open() as raw:
            raw.send(encode("/v1/chat/completions", do={"stream": 30, "every": 0.2}))
            self.events = len(raw.answer().data)


@pytest.mark.parametrize("where", ["docker", "native"])
def test_a_certificate_is_rotated_under_load_without_a_drop(place: Place, tmp_path: Path, where: str) -> None:
    # A stop would wait one second; a reload waits for the stream all the same.
    edge = place.started(where, RATE_LIMIT_RPS="0", SHUTDOWN_GRACE="1")
    old, new = (place.tls / "cert.pem").read_text(), certificate.make()
    both = tmp_path / "both.pem"
    both.write_text(old + new.certificate)
    client = Client(edge, both)
    until(lambda: client.ask("/livez").status == 200, 10, "the gateway is found")
    # Without keepalive_min_timeout, which many distributions do not have yet, idle connections are closed at once.
    kept = not isinstance(edge, NativeEdge) or "keepalive_min_timeout" in (edge.prefix / "nginx.conf").read_text()
    with Load(edge, both, kept=kept) as load:
        time.sleep(1)
        place.put_certificate(new)
        until(lambda: presented(edge) == new.certificate.strip(), 15, "the new certificate is shown")
        time.sleep(2)
    assert load.failures == []
    assert load.events == 31
    assert next(load.done) > 50


@pytest.mark.parametrize("where", ["docker", "native"])
def test_half_of_a_pair_is_not_taken_and_the_whole_is(place: Place, where: str) -> None:
    edge = place.started(where)
    old, new = presented(edge), certificate.make()
    place.put("cert.pem", new.certificate)
    until(lambda: "the old one stays" in edge.logs(), 10, "half of a pair is refused")
    time.sleep(2.5)
    assert edge.logs().count("the old one stays") == 1
    assert presented(edge) == old
    place.put("key.pem", new.key)
    until(lambda: presented(edge) == new.certificate.strip(), 10, "the whole pair is taken")
    place.put("cert.pem", new.certificate[:300])
    until(lambda: edge.logs().count("the old one stays") == 2, 10, "half of a file is refused")
    assert edge.state["Running"]


def test_a_start_in_the_middle_of_a_change_waits_for_the_other_half(place: Place) -> None:
    new = certificate.make()
    place.put("cert.pem", new.certificate)
    edge = place.edge(wait=False)
    time.sleep(1.5)
    place.put("key.pem", new.key)
    until(edge.healthy, 10, "it starts")
    assert presented(edge) == new.certificate.strip()


def test_without_a_certificate_it_says_who_makes_one(place: Place) -> None:
    (place.tls / "key.pem").unlink()
    edge = place.edge(wait=False)
    until(lambda: not edge.state["Running"], 20, "it ends")
    assert edge.state["ExitCode"] == 1
    assert "cannot be read by user" in edge.logs()
    assert "the service init makes them" in edge.logs()
