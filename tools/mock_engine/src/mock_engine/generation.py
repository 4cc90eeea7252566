"""One running generation: writes what was requested, token by token, until it ends or is cancelled."""

from __future__ import annotations

import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from mock_engine import responses
from mock_engine.behaviour import EMBEDDINGS
from mock_engine.fault import COUNTED_FAULTS, Fault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from mock_engine.barriers import Barriers
    from mock_engine.request import GenerationRequest
    from mock_engine.stats import Counters

NO_FAULT = Fault("none")
TRICKLE_BYTES = 7  # cuts every event somewhere in its middle
TRICKLE_S = 0.01  # seconds between the pieces of a slow body, when the request names no interval
MISSING_BYTES = 64  # what a truncated response announces beyond what it sends


def reset(transport: asyncio.Transport) -> None:
    """Close with a TCP reset, which needs a linger time of zero; a plain abort would look like an orderly end."""
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class OnFinished(Protocol):
    """Called when a response is complete; the connection is then reused, or not."""

    def __call__(self, *, reusable: bool) -> None:
        """Handle the end."""


class Generation:
    """One response in progress.

    Args:
        loop: runs the timers.
        transport: of the client's connection.
        request: what to generate.
        counters: where it is counted.
        number: of the request, for its id.
        max_model_len: for the error about the context length.
        barriers: where the request may have to wait.
        on_finished: called at the end, but not for a cancelled request.
    """

    __slots__ = (
        "_barrier_at", "_barriers", "_counters", "_events", "_fault", "_fault_at", "_loop", "_max_model_len",
        "_next_step", "_number", "_on_finished", "_paused", "_request", "_sent", "_start", "_stop_at", "_timer",
        "_transport", "_unsent",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        *,
        request: GenerationRequest,
        counters: Counters,
        number: int,
        max_model_len: int,
        barriers: Barriers,
        on_finished: OnFinished,
    ) -> None:
        self._loop, self._transport, self._request, self._on_finished = loop, transport, request, on_finished
        self._counters, self._number, self._max_model_len = counters, number, max_model_len
        self._fault = request.fault or NO_FAULT
        counted = self._fault.kind in COUNTED_FAULTS
        self._fault_at = min(self._fault.number, request.tokens) if counted else -1
        self._barriers = barriers
        self._next_step: Callable[[], None] | None = None  # while it waits at a barrier
        self._barrier_at = -1
        self._stop_at = self._fault_at  # the token before which something else happens
        self._events: responses.Events | None = None
        self._unsent = b""
        self._sent = 0
        self._paused = False
        self._timer: asyncio.Handle | None = None
        self._start = loop.time() + request.ttft_s

    def begin(self) -> None:
        """Start; the first byte may be written before this returns."""
        self._counters.requests += 1
        self._counters.running += 1
        kind = self._fault.kind
        if kind == "hang":
            return
        if kind == "headers_then_hang":
            content_type, length = (responses.SSE, None) if self._request.stream else (responses.JSON, 99)
            self._transport.write(responses.head(200, content_type, length))
            return
        streaming = self._request.stream and (kind == "none" or self._fault_at >= 0)
        if streaming:  # vLLM sends the head at once and the first event with the first token
            self._transport.write(responses.head(200, responses.SSE, None))
        next_step = self._stream if streaming else self._send_plain
        if self._request.barrier and not (streaming and self._request.barrier_after):
            self._wait_at_barrier(next_step)
            return
        wait = (
            self._request.ttft_s
            if streaming
            else self._request.ttft_s + self._request.interval_s * max(self._request.tokens - 1, 0)
        )
        if wait or self._fault_at >= 0:
            self._timer = self._loop.call_later(wait, next_step)
        else:
            next_step()

    def cancel(self) -> None:
        """Stop generating: the client has gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._next_step is not None:
            self._barriers.discard(self._request.barrier, self._released)
        self._counters.running -= 1
        self._counters.cancelled += 1

    def pause(self) -> None:
        """Wait for a client that does not read; what it has not read must not pile up."""
        self._paused = True

    def resume(self) -> None:
        """Continue after a pause, and catch up with the tokens that were due meanwhile."""
        self._paused = False
        if self._events is not None and self._timer is None and self._next_step is None:
            self._token()

    def _wait_at_barrier(self, next_step: Callable[[], None]) -> None:
        """Wait at the barrier; pass an open one."""
        if self._barriers.is_closed(self._request.barrier):
            self._next_step = next_step
            self._barriers.wait(self._request.barrier, self._released)
        else:
            next_step()

    def _released(self) -> None:
        next_step, self._next_step = self._next_step, None
        if next_step is not None:
            next_step()

    def _stream(self) -> None:
        request = self._request
        self._events = responses.events(request, self._number)
        if self._fault_at != 0 and self._events.role:
            self._transport.write(self._events.role)
            self._counters.events_sent += 1
        if request.barrier and request.barrier_after:
            self._barrier_at = min(request.barrier_after - bool(self._events.role), request.tokens)
            self._stop_at = self._barrier_at if self._fault_at < 0 else min(self._barrier_at, self._fault_at)
        self._token()

    def _token(self) -> None:
        """Write one event and set the timer for the next: this is all that a stream costs."""
        self._timer = None
        if self._paused:
            return
        sent, request, events = self._sent, self._request, self._events
        if events is None:
            return
        if sent == self._stop_at:
            self._on_stop_at()
            return
        if sent >= request.tokens:  # nothing was to be generated, or it waited after the last token
            self._end_stream()
            return
        token = responses.TOKENS[sent % len(responses.TOKENS)]
        self._sent = sent = sent + 1
        self._counters.tokens_sent += 1
        self._counters.events_sent += 1
        if sent < request.tokens:
            self._transport.write(events.before + token + events.after)
        else:
            self._transport.write(events.before_last + token + events.after_last)
            if sent != self._stop_at:
                self._end_stream()
                return
        if request.interval_s:  # against the clock rather than the last tick: a busy machine delays, but never drifts
            self._timer = self._loop.call_at(self._start + sent * request.interval_s, self._token)
        else:
            self._timer = self._loop.call_soon(self._token)

    def _end_stream(self) -> None:
        """End a stream as vLLM does: the usage, if requested, then `[DONE]`."""
        if self._events is not None and self._events.usage:
            self._transport.write(self._events.usage)
            self._counters.events_sent += 1
        self._counters.events_sent += 1
        self._transport.write(responses.chunk(responses.DONE) + responses.LAST_CHUNK)
        self._finish()

    def _on_stop_at(self) -> None:
        """Wait at the barrier or fail; where both are due at the same token, first the one, then the other."""
        if self._stop_at == self._barrier_at:
            self._barrier_at, self._stop_at = -1, self._fault_at
            self._wait_at_barrier(self._token)
        else:
            self._inject_fault()

    def _inject_fault(self) -> None:
        """Fail as requested after so many events."""
        kind = self._fault.kind
        if kind == "break":
            self._reset()
        elif kind == "end_without_done":
            self._transport.write(responses.LAST_CHUNK)
            self._finish(faulted=True)
        elif kind in {"error_event", "context_event"}:
            error = responses.error_body(HTTPStatus.INTERNAL_SERVER_ERROR, "mock engine failure", "InternalServerError")
            if kind == "context_event":
                error = responses.context_length_body(self._max_model_len)
            self._transport.write(
                responses.chunk(b"data: " + error + b"\n\n") + responses.chunk(responses.DONE) + responses.LAST_CHUNK
            )
            self._counters.events_sent += 2
            self._finish(faulted=True)
        # A stall ends when the client goes.

    def _send_plain(self) -> None:
        """Write a plain response, or fail instead."""
        self._timer = None
        request, kind = self._request, self._fault.kind
        if kind == "none":
            if request.path != EMBEDDINGS:
                self._counters.tokens_sent += request.tokens
            self._transport.write(responses.plain(200, responses.plain_body(request, self._number)))
            self._finish()
        elif kind == "reset":
            self._reset()
        elif kind == "slow_body":
            self._unsent = self._whole_body()
            content_type = responses.SSE if request.stream else responses.JSON
            self._transport.write(responses.head(200, content_type, len(self._unsent)))
            self._trickle()
        elif kind == "truncated":
            body = self._whole_body()
            content_type = responses.SSE if request.stream else responses.JSON
            self._transport.write(responses.head(200, content_type, len(body) + MISSING_BYTES) + body)
            self._finish(faulted=True, reusable=False)
        elif kind in {"break", "stall", "end_without_done"}:
            self._send_partial()
        else:
            self._transport.write(responses.faulty(self._fault, self._max_model_len))
            self._finish(faulted=True)

    def _send_partial(self) -> None:
        """Fail in the middle of a plain response, where a stream would fail between its events."""
        body = responses.plain_body(self._request, self._number)
        half = body[: len(body) // 2]
        if self._fault.kind == "end_without_done":
            self._transport.write(
                responses.head(200, responses.JSON, None) + responses.chunk(half) + responses.LAST_CHUNK
            )
            self._finish(faulted=True)
            return
        self._transport.write(responses.head(200, responses.JSON, len(body)) + half)
        if self._fault.kind == "break":  # later, so that the half is out before the reset overtakes it
            self._timer = self._loop.call_later(TRICKLE_S, self._reset)

    def _whole_body(self) -> bytes:
        """Return the whole body, that of a stream without its chunks, and count it as sent."""
        request = self._request
        if request.stream:
            body, events_sent = responses.stream_body(request, self._number)
        else:
            body, events_sent = responses.plain_body(request, self._number), 0
        self._counters.tokens_sent += 0 if request.path == EMBEDDINGS else request.tokens
        self._counters.events_sent += events_sent
        return body

    def _trickle(self) -> None:
        piece, self._unsent = self._unsent[:TRICKLE_BYTES], self._unsent[TRICKLE_BYTES:]
        self._transport.write(piece)
        if self._unsent:
            self._timer = self._loop.call_later(self._request.interval_s or TRICKLE_S, self._trickle)
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
        self._on_finished(reusable=reusable)
