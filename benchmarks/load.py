"""Loads, and the load generator that runs them: a program in C (`native/load_generator.c`) that checks every answer."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
GRACE_S = 30.0  # for the load generator to end after its own timeout
SENTENCE = "Say a few words about glass, please. "


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent.

    Args:
        requests: at most this many.
        connections: each sends its next request as soon as it has the answer to the last.
        tokens: of each answer.
        stream: as server-sent events.
        interval_s: seconds between tokens; 0 for as fast as possible.
        prompt_bytes: about the size of the prompt; 0 for one short sentence.
        usage: ask for usage at the end of a stream, and require it.
        seconds: no request is begun after so many, although `requests` are not sent yet; 0 for no such limit.
        spread_s: seconds over which the connections begin. Real clients do not all start at once.
        timeout_s: after so many seconds what is left fails.
    """

    requests: int
    connections: int = 32
    tokens: int = 16
    stream: bool = False
    interval_s: float = 0.0
    prompt_bytes: int = 0
    usage: bool = False
    seconds: float = 0.0
    spread_s: float = 0.0
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where it is sent.

    Args:
        port: on 127.0.0.1.
        key: sent as a bearer token.
        model: that the requests name.
        path: of chat completions.
        tls: over TLS; the certificate is not verified.
    """

    port: int
    key: str = "none"
    model: str = "mock"
    path: str = "/v1/chat/completions"
    tls: bool = False

    def request(self, load: Load) -> bytes:
        """Return a whole HTTP request."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": SENTENCE * max(load.prompt_bytes // len(SENTENCE), 1)}],
            "max_tokens": load.tokens,
            "stream": load.stream,
        }
        if load.usage:
            body["stream_options"] = {"include_usage": True}
        data = orjson.dumps(body)
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, in milliseconds: median, 90th and 99th percentile, and the most."""

    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a load.

    Args:
        done: requests with a complete and correct answer.
        tokens: in them.
        wall_s: seconds that it took.
        cpu_s: CPU seconds of the load generator.
        connections_opened: how many; more than the load has where the server closes some.
        total_ms: from sending a request to the end of its answer.
        ttft_ms: from sending a request to its first token, for streams.
        gap_ms: between two tokens of a stream.
        failures: reasons and how often each occurred; these and `done` add up to all requests.
    """

    done: int
    tokens: int
    wall_s: float
    cpu_s: float
    connections_opened: int
    total_ms: Timing | None = None
    ttft_ms: Timing | None = None
    gap_ms: Timing | None = None
    failures: Counter[str] = field(default_factory=Counter)


class LoadGeneratorError(Exception):
    """The load generator itself has failed."""


def run(program: Path, endpoint: Endpoint, load: Load) -> Outcome:
    """Run a load to its end.

    Raises:
        LoadGeneratorError: the load generator has failed; failed requests are counted in the outcome instead.
    """
    process = start(program, endpoint, load)
    try:
        output, _ = process.communicate(timeout=load.timeout_s + GRACE_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode != 0:
        raise LoadGeneratorError(f"{program.name} ended with {process.returncode}")
    return read_outcome(output)


def start(program: Path, endpoint: Endpoint, load: Load) -> subprocess.Popen[bytes]:
    """Start a load; its outcome comes on standard output."""
    command = [
        str(program), "--port", str(endpoint.port), "--requests", str(load.requests),
        "--connections", str(load.connections), "--tokens", str(load.tokens), "--seconds", str(load.seconds),
        "--spread", str(load.spread_s), "--timeout", str(load.timeout_s),
    ]  # fmt: skip
    flags = {"--stream": load.stream, "--usage": load.usage, "--tls": endpoint.tls}
    process = subprocess.Popen(
        [*command, *(flag for flag, given in flags.items() if given)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if process.stdin is not None:
        process.stdin.write(endpoint.request(load))
        process.stdin.close()
        process.stdin = None  # communicate() would write to it
    return process


def read_outcome(output: bytes) -> Outcome:
    """Read what the load generator has printed."""
    fields: dict[str, Any] = orjson.loads(output)
    for name in ("total_ms", "ttft_ms", "gap_ms"):
        timing = fields[name]
        fields[name] = Timing(timing["p50"], timing["p90"], timing["p99"], timing["max"]) if timing["count"] else None
    fields["failures"] = Counter(fields["failures"])
    return Outcome(**fields)
