"""What really happened in the mock engine, counted exactly, for tests to hold a gateway's own counters against."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from mock_engine.gates import Gates


@dataclass(slots=True)
class Counters:
    """Requests by what became of them; `requests == running + finished + cancelled + faulted` at any moment.

    Args:
        requests: generation requests that were understood, a fault that was asked for included.
        running: begun and not ended: falls back to 0 when the engine has been freed.
        finished: answered completely and well.
        cancelled: the client's connection closed before the end.
        faulted: ended by a fault, as asked for.
        tokens_sent: tokens handed to the connection, in streams and in whole plain answers.
        events_sent: SSE events handed to the connection: role, tokens, errors, usage and `[DONE]`.
    """

    requests: int = 0
    running: int = 0
    finished: int = 0
    cancelled: int = 0
    faulted: int = 0
    tokens_sent: int = 0
    events_sent: int = 0


@dataclass(slots=True)
class Truth:
    """Everything that `GET /mock` tells.

    Args:
        work: requests for more than one token.
        probes: requests for one token, which is how a gateway asks whether the engine still generates. They are kept
            apart so that a canary in the background never moves the figures that a test compares.
        last_headers: of the last request that was no probe, as they came.
        last_body: of the last request that was no probe, as it came.
        gates: who stands still where.
    """

    work: Counters = field(default_factory=Counters)
    probes: Counters = field(default_factory=Counters)
    last_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    last_body: bytes = b""
    gates: Gates = field(default_factory=Gates)

    def forget(self) -> None:
        """Start counting again; what runs at this moment stays counted, so that it can still end."""
        for counters in (self.work, self.probes):
            running = counters.running
            for name in asdict(counters):
                setattr(counters, name, 0)
            counters.requests = counters.running = running
        self.last_headers, self.last_body = [], b""
        self.gates.forget()

    def show(self) -> dict[str, Any]:
        """Return the JSON of `GET /mock`; header names are in lower case, repeated ones joined with a comma."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.last_headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return {
            **asdict(self.work),
            "probes": asdict(self.probes),
            "standing": self.gates.show(),
            "last_headers": headers,
            "last_body": orjson.loads(self.last_body) if self.last_body else None,
        }
