"""The log of a running gateway, where nobody reads it: requests are served, what is lost is counted, a stop ends it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest
from tests.support.gateway import COMMAND, environment, new_key, write_keys
from tests.support.http.message import content_length
from tests.support.program import HOST, ROOT, until
from tests.support.samples import Samples

# In requests: more than pipe, thread and queue hold.
MANY = 24_000
_ASK = b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\nx-request-id: %b\r\n\r\n"
_PATIENCE_S = 30.0


class Served:
    """A gateway whose log goes into a pipe."""

    def __init__(self, settings: dict[str, str], process: subprocess.Popen[bytes], log: BinaryIO) -> None:
        self.port, self.metrics_port = int(settings["GATEWAY_PORT"]), int(settings["METRICS_PORT"])
        self.process, self.log = process, log

    def lives(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://{HOST}:{self.port}/livez", trust_env=False, timeout=5).is_success
        return False

    def workers(self) -> set[str]:
        """The pids of the master's children."""
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii").split())

    def scrape(self) -> Samples:
        answer = httpx.get(f"http://{HOST}:{self.metrics_port}/metrics", trust_env=False, timeout=10)
        return Samples.parse(answer.text)

    def ask(self, count: int) -> None:
        """So many requests over one connection, a hundred on the way at a time; every one is answered, with 401."""
        with socket.create_connection((HOST, self.port), timeout=_PATIENCE_S) as connection:
            read = connection.makefile("rb")
            for first in range(0, count, 100):
                connection.sendall(b"".join(_ASK % (b"%0128d" % number) for number in range(first, first + 100)))
                for _ in range(100):
                    head = b"".join(iter(read.readline, b"\r\n"))
                    assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n"), head
                    read.read(content_length(head))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    settings = environment(tmp_path, "a=http://127.0.0.1:1")
    write_keys(Path(settings["KEYS_FILE"]), {"tester": new_key()})
    end, beginning = os.pipe()
    with (
        os.fdopen(end, "rb", buffering=0) as log,
        subprocess.Popen(
            COMMAND, cwd=ROOT, env={"PATH": os.environ["PATH"], **settings}, stdout=beginning, stderr=subprocess.STDOUT
        ) as process,
    ):
        os.close(beginning)
        try:
            gateway = Served(settings, process, log)
            until(gateway.lives, 60, "it answers")
            yield gateway
        finally:
            process.kill()


def test_a_log_that_nobody_reads_holds_up_nobody(served: Served) -> None:
    served.ask(MANY)
    assert served.lives()
    lost = served.scrape().total("gateway_log_lines_lost_total")
    assert lost > 0

    read = b""

    def reads() -> None:
        nonlocal read
        while chunk := served.log.read(65_536):
            read += chunk

    reader = threading.Thread(target=reads)
    reader.start()
    until(lambda: b"log_lines_lost" in read, _PATIENCE_S, "it says that lines are missing")
    served.ask(100)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(_PATIENCE_S) == 0
    reader.join(_PATIENCE_S)
    lines = [json.loads(line) for line in read.splitlines()]
    (gap,) = (line for line in lines if line["event"] == "log_lines_lost")
    assert gap["lines"] == lost
    asked = [int(line["request_id"]) for line in lines if line.get("route") == "/v1/models"]
    assert len(asked) == MANY + 100 - lost
    assert asked == [*range(MANY - int(lost)), *range(100)], "in order, and none behind the gap is missing"


def test_a_stop_does_not_wait_for_a_log_that_nobody_reads(served: Served) -> None:
    served.ask(1_000)
    assert served.lives()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(_PATIENCE_S) == 0


def test_a_reload_does_not_either(served: Served) -> None:
    served.ask(1_000)
    old = served.workers()
    served.process.send_signal(signal.SIGHUP)
    until(lambda: old.isdisjoint(served.workers()) and served.lives(), _PATIENCE_S, "the new one works alone")
    served.ask(200)
    assert served.lives()


def test_a_reader_that_goes_takes_nobody_along(served: Served) -> None:
    served.log.close()
    served.ask(1_000)
    assert served.lives()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(_PATIENCE_S) == 0
