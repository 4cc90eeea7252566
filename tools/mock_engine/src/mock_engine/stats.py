"""Exact counters of what happened in the mock engine, to compare a gateway's own counters with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from mock_engine.barriers import Barriers


@dataclass(slots=True)
class Counters:
    """Requests by outcome; `requests == running + finished + cancelled + faulted` at any moment.

    Args:
        requests: valid generation requests, those with a requested fault included.
        running: begun and not ended: back to 0 when the engine is idle.
        finished: answered completely and without a fault.
        cancelled: the client's connection closed before the end.
        faulted: ended by a requested fault.
        tokens_sent: tokens handed to the connection, in streams and in complete plain responses.
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
class Stats:
    """Everything that `GET /mock` returns.

    Args:
        work: requests for more than one token.
        probes: requests for one token, with which a gateway checks that the engine still generates. Counted separately
            so that a probe in the background never changes the figures that a test compares.
        last_headers: of the last request that was not a probe, as received.
        last_body: of the last request that was not a probe, as received.
        barriers: where generations wait.
    """

    work: Counters = field(default_factory=Counters)
    probes: Counters = field(default_factory=Counters)
    last_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    last_body: bytes = b""
    barriers: Barriers = field(default_factory=Barriers)

    def reset(self) -> None:
        """Restart the counters; requests that are running stay counted, so that they can still end."""
        for counters in (self.work, self.probes):
            running = counters.running
            for name in asdict(counters):
                setattr(counters, name, 0)
            counters.requests = counters.running = running
        self.last_headers, self.last_body = [], b""
        self.barriers.reset()

    def as_json(self) -> dict[str, Any]:
        """Return the JSON of `GET /mock`; header names are in lower case, repeated ones joined with a comma."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.last_headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return {
            **asdict(self.work),
            "probes": asdict(self.probes),
            "at_barriers": self.barriers.waiting(),
            "last_headers": headers,
            "last_body": orjson.loads(self.last_body) if self.last_body else None,
        }
