"""One running generation: a timer and a position, writing what the request asked for until it ends or is cancelled."""

from __future__ import annotations

import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from mock_engine import wire
from mock_engine.behaviour import EMBEDDINGS
from mock_engine.fault import COUNTED_FAULTS, Fault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from mock_engine.ask import Ask
    from mock_engine.gates import Gates
    from mock_engine.truth import Counters

NO_FAULT = Fault("none")
TRICKLE_BYTES = 7  # cuts every event somewhere in its middle
TRICKLE_S = 0.01  # seconds between the pieces of a slow body, when the request names no interval
MISSING_BYTES = 64  # what a truncated answer promises beyond what it sends


def reset(transport: asyncio.Transport) -> None:
    """Close with a TCP reset, which needs a linger time of zero; a plain abort would look like an orderly end."""
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Ending(Protocol):
    """Told when an answer is complete, so that the connection can be used again, or not."""

    def __call__(self, *, reusable: bool) -> None:
        """Take note of the end."""


class Generation:
    """One answer on its way.

    Args:
        loop: runs the timers.
        transport: of the client's connection.
        ask: what to generate.
        counters: where it is counted.
        number: of the request, for its id.
        max_model_len: for the error about the context length.
        gates: where the request may have to stand still.
        ended: told about the end; not called for a cancelled one.
    """

    __slots__ = (
        "_ask", "_counters", "_ended", "_events", "_fault", "_fault_at", "_gates", "_go_on", "_hold_at", "_left",
        "_loop", "_max_model_len", "_number", "_paused", "_sent", "_start", "_stop_at", "_timer", "_transport",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        *,
        ask: Ask,
        counters: Counters,
        number: int,
        max_model_len: int,
        gates: Gates,
        ended: Ending,
    ) -> None:
        self._loop, self._transport, self._ask, self._ended = loop, transport, ask, ended
        self._counters, self._number, self._max_model_len = counters, number, max_model_len
        self._fault = ask.fault or NO_FAULT
        counted = self._fault.kind in COUNTED_FAULTS
        self._fault_at = min(self._fault.number, ask.tokens) if counted else -1
        self._gates = gates
        self._go_on: Callable[[], None] | None = None  # while it stands at a gate
        self._hold_at = -1
        self._stop_at = self._fault_at  # the token before which something else happens
        self._events: wire.Events | None = None
        self._left = b""
        self._sent = 0
        self._paused = False
        self._timer: asyncio.Handle | None = None
        self._start = loop.time() + ask.ttft_s

    def begin(self) -> None:
        """Start; the first byte may be written before this returns."""
        self._counters.requests += 1
        self._counters.running += 1
        kind = self._fault.kind
        if kind == "hang":
            return
        if kind == "headers_then_hang":
            self._transport.write(wire.head(200, wire.SSE, None) if self._ask.stream else wire.head(200, wire.JSON, 99))
            return
        streaming = self._ask.stream and (kind == "none" or self._fault_at >= 0)
        if streaming:  # vLLM sends the head at once and the first event with the first token
            self._transport.write(wire.head(200, wire.SSE, None))
        go_on = self._stream if streaming else self._answer
        if self._ask.gate and not (streaming and self._ask.hold):
            self._stand(go_on)
            return
        wait = self._ask.ttft_s if streaming else self._ask.ttft_s + self._ask.interval_s * max(self._ask.tokens - 1, 0)
        if wait or self._fault_at >= 0:
            self._timer = self._loop.call_later(wait, go_on)
        else:
            go_on()

    def cancel(self) -> None:
        """Stop generating: the client has gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._go_on is not None:
            self._gates.leave(self._ask.gate, self._pass)
        self._counters.running -= 1
        self._counters.cancelled += 1

    def pause(self) -> None:
        """Wait for a client that does not read; what it has not read must not pile up."""
        self._paused = True

    def resume(self) -> None:
        """Go on after a pause; ticks missed meanwhile are caught up with."""
        self._paused = False
        if self._events is not None and self._timer is None and self._go_on is None:
            self._token()

    def _stand(self, go_on: Callable[[], None]) -> None:
        """Stand still at the gate; at an open one, go on."""
        if self._gates.shut(self._ask.gate):
            self._go_on = go_on
            self._gates.stand(self._ask.gate, self._pass)
        else:
            go_on()

    def _pass(self) -> None:
        go_on, self._go_on = self._go_on, None
        if go_on is not None:
            go_on()

    def _stream(self) -> None:
        ask = self._ask
        self._events = wire.events(ask, self._number)
        if self._fault_at != 0 and self._events.role:
            self._transport.write(self._events.role)
            self._counters.events_sent += 1
        if ask.gate and ask.hold:
            self._hold_at = min(ask.hold - bool(self._events.role), ask.tokens)
            self._stop_at = self._hold_at if self._fault_at < 0 else min(self._hold_at, self._fault_at)
        self._token()

    def _token(self) -> None:
        """Write one event and set the timer for the next: this is all that a stream costs."""
        self._timer = None
        if self._paused:
            return
        sent, ask, parts = self._sent, self._ask, self._events
        if parts is None:
            return
        if sent == self._stop_at:
            self._stop()
            return
        if sent >= ask.tokens:  # nothing was to be generated, or it stood behind the last token
            self._close()
            return
        token = wire.TOKENS[sent % len(wire.TOKENS)]
        self._sent = sent = sent + 1
        self._counters.tokens_sent += 1
        self._counters.events_sent += 1
        if sent < ask.tokens:
            self._transport.write(parts.before + token + parts.after)
        else:
            self._transport.write(parts.before_last + token + parts.after_last)
            if sent != self._stop_at:
                self._close()
                return
        if ask.interval_s:  # against the clock rather than the last tick: a busy machine delays, but never drifts
            self._timer = self._loop.call_at(self._start + sent * ask.interval_s, self._token)
        else:
            self._timer = self._loop.call_soon(self._token)

    def _close(self) -> None:
        """End a stream as vLLM does: the usage, if wanted, then `[DONE]`."""
        if self._events is not None and self._events.usage:
            self._transport.write(self._events.usage)
            self._counters.events_sent += 1
        self._counters.events_sent += 1
        self._transport.write(wire.chunk(wire.DONE) + wire.LAST_CHUNK)
        self._finish()

    def _stop(self) -> None:
        """Stand still, or else fail; where both are due at the same token, one after the other."""
        if self._stop_at == self._hold_at:
            self._hold_at, self._stop_at = -1, self._fault_at
            self._stand(self._token)
        else:
            self._misbehave()

    def _misbehave(self) -> None:
        """Do what was asked for after so many events."""
        kind = self._fault.kind
        if kind == "break":
            self._reset()
        elif kind == "end_without_done":
            self._transport.write(wire.LAST_CHUNK)
            self._finish(faulted=True)
        elif kind in {"error_event", "context_event"}:
            error = wire.error_body(HTTPStatus.INTERNAL_SERVER_ERROR, "mock engine failure", "InternalServerError")
            if kind == "context_event":
                error = wire.context_length_body(self._max_model_len)
            self._transport.write(wire.chunk(b"data: " + error + b"\n\n") + wire.chunk(wire.DONE) + wire.LAST_CHUNK)
            self._counters.events_sent += 2
            self._finish(faulted=True)
        # A stall ends when the client goes.

    def _answer(self) -> None:
        """Write a plain answer, or fail in place of one."""
        self._timer = None
        ask, kind = self._ask, self._fault.kind
        if kind == "none":
            if ask.path != EMBEDDINGS:
                self._counters.tokens_sent += ask.tokens
            self._transport.write(wire.answer(200, wire.plain_body(ask, self._number)))
            self._finish()
        elif kind == "reset":
            self._reset()
        elif kind == "slow_body":
            self._left = self._whole()
            content_type = wire.SSE if ask.stream else wire.JSON
            self._transport.write(wire.head(200, content_type, len(self._left)))
            self._trickle()
        elif kind == "truncated":
            body = self._whole()
            content_type = wire.SSE if ask.stream else wire.JSON
            self._transport.write(wire.head(200, content_type, len(body) + MISSING_BYTES) + body)
            self._finish(faulted=True, reusable=False)
        elif kind in {"break", "stall", "end_without_done"}:
            self._half()
        else:
            self._transport.write(self._wrong_answer())
            self._finish(faulted=True)

    def _half(self) -> None:
        """Fail in the middle of a plain answer, where a stream would fail between its events."""
        body = wire.plain_body(self._ask, self._number)
        half = body[: len(body) // 2]
        if self._fault.kind == "end_without_done":
            self._transport.write(wire.head(200, wire.JSON, None) + wire.chunk(half) + wire.LAST_CHUNK)
            self._finish(faulted=True)
            return
        self._transport.write(wire.head(200, wire.JSON, len(body)) + half)
        if self._fault.kind == "break":  # later, so that the half is out before the reset overtakes it
            self._timer = self._loop.call_later(TRICKLE_S, self._reset)

    def _wrong_answer(self) -> bytes:
        """Return a complete HTTP answer that is not what was asked for."""
        kind = self._fault.kind
        if kind == "html":
            return wire.answer(200, wire.HTML, b"text/html; charset=utf-8")
        if kind == "garbage":
            return wire.answer(200, wire.GARBAGE, wire.SSE)
        if kind in {"context_length", "context_event"}:
            return wire.answer(HTTPStatus.BAD_REQUEST, wire.context_length_body(self._max_model_len))
        status = self._fault.number if kind == "status" else HTTPStatus.INTERNAL_SERVER_ERROR
        return wire.answer(status, wire.error_body(status, "mock engine failure", wire.error_kind(status)))

    def _whole(self) -> bytes:
        """Return the whole body, that of a stream without its chunks, and count it as sent."""
        ask = self._ask
        if ask.stream:
            body, events_sent = wire.stream_body(ask, self._number)
        else:
            body, events_sent = wire.plain_body(ask, self._number), 0
        self._counters.tokens_sent += 0 if ask.path == EMBEDDINGS else ask.tokens
        self._counters.events_sent += events_sent
        return body

    def _trickle(self) -> None:
        piece, self._left = self._left[:TRICKLE_BYTES], self._left[TRICKLE_BYTES:]
        self._transport.write(piece)
        if self._left:
            self._timer = self._loop.call_later(self._ask.interval_s or TRICKLE_S, self._trickle)
        else:
            self._timer = None
            self._finish()

    def _reset(self) -> None:
        self._finish(faulted=True, reusable=False)
        reset(self._transport)

    def _finish(self, *, faulted: bool = False, reusable: bool = True) -> None:
        self._counters.running -= 1
        if faulted:
            self._counters.faulted += 1
        else:
            self._counters.finished += 1
        self._ended(reusable=reusable)
