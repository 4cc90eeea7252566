"""The log of a gateway whose reader has stopped: requests are served, lost lines are counted, a shutdown ends it."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.support.gateway import COMMAND, GatewayPorts, environment, new_key, write_keys
from tests.support.http.message import content_length
from tests.support.program import HOST, ROOT, until

# Requests, whose log lines are more than pipe, thread and queue hold.
MANY = 24_000
_REQUEST = b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\nx-request-id: %b\r\n\r\n"
_TIMEOUT_S = 30.0


class PipedGateway(GatewayPorts):
    """A gateway whose log goes into a pipe."""

    def __init__(self, settings: dict[str, str], process: subprocess.Popen[bytes], log: BinaryIO) -> None:
        super().__init__(int(settings["GATEWAY_PORT"]), int(settings["METRICS_PORT"]))
        self.process, self.log = process, log

    def workers(self) -> set[str]:
        """The pids of the master's children."""
        return set(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii").split())

    def send_requests(self, count: int) -> None:
        """Pipelines this many requests over one connection, a hundred at a time; the response to each is a 401."""
        with socket.create_connection((HOST, self.port), timeout=_TIMEOUT_S) as connection:
            read = connection.makefile("rb")
            for first in range(0, count, 100):
                connection.sendall(b"".join(_REQUEST % (b"%0128d" % number) for number in range(first, first + 100)))
                for _ in range(100):
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        line = read.readline()
                        assert line, "the connection ended"
                        head += line
                    assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n"), head
                    read.read(content_length(head))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[PipedGateway]:
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
            gateway = PipedGateway(settings, process, log)
            until(gateway.is_live, 60, "it responds")
            yield gateway
        finally:
            process.kill()


def test_a_log_without_a_reader_delays_no_request(gateway: PipedGateway) -> None:
    gateway.send_requests(MANY)
    assert gateway.is_live()
    lost = gateway.scrape().total("gateway_log_lines_lost_total")
    assert lost > 0

    read = b""

    def read_log() -> None:
        nonlocal read
        while chunk := gateway.log.read(65_536):
            read += chunk

    reader = threading.Thread(target=read_log)
    reader.start()
    until(lambda: b"log_lines_lost" in read, _TIMEOUT_S, "the gap is in the log")
    gateway.send_requests(100)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(_TIMEOUT_S) == 0
    reader.join(_TIMEOUT_S)
    lines = [json.loads(line) for line in read.splitlines()]
    (gap,) = (line for line in lines if line["event"] == "log_lines_lost")
    assert gap["lines"] == lost
    numbers = [int(line["request_id"]) for line in lines if line.get("route") == "/v1/models"]
    assert len(numbers) == MANY + 100 - lost
    assert numbers == [*range(MANY - int(lost)), *range(100)], "in order, and none after the gap is missing"


def test_a_shutdown_does_not_wait_for_the_reader_of_the_log(gateway: PipedGateway) -> None:
    gateway.send_requests(1_000)
    assert gateway.is_live()
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(_TIMEOUT_S) == 0


def test_a_reload_does_not_wait_for_the_reader_of_the_log(gateway: PipedGateway) -> None:
    gateway.send_requests(1_000)
    old = gateway.workers()
    gateway.process.send_signal(signal.SIGHUP)
    until(
        lambda: old.isdisjoint(gateway.workers()) and gateway.is_live(),
        _TIMEOUT_S,
        "the new worker serves",
    )
    gateway.send_requests(200)
    assert gateway.is_live()


def test_a_closed_log_pipe_ends_no_gateway(gateway: PipedGateway) -> None:
    gateway.log.close()
    gateway.send_requests(1_000)
    assert gateway.is_live()
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(_TIMEOUT_S) == 0
