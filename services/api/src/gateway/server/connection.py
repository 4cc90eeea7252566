"""One client's connection: its requests in order, its deadlines, and its end.

Differences from uvicorn's protocol: refusals are answered and observed like any error; reading continues during a
request, so that a client that disconnects is always noticed; a client that closes only its own side gets what can be
answered without an engine; the connection is never closed in a way that loses an answer.
"""

import asyncio
import math
from collections import deque
from typing import cast

from gateway.errors import BodyTooLarge, GatewayError, RequestTimeout, TooManyConnections
from gateway.exchange import Header
from gateway.server.cycles import AnyCycle, Cycles
from gateway.server.descriptors import has_unread_data
from gateway.server.owner import ConnectionOwner
from gateway.server.reader import RequestReader
from gateway.server.uvicorn_internals import FlowControl

# Bytes parsed at a time: thousands of small requests in one packet do not all begin before the first is answered.
_MAX_READ = 16_384
# Maximum bytes of further requests that are buffered during a request.
_MAX_BUFFERED = 1_048_576
# Seconds that a client may go on sending a body after its request was answered.
_DRAIN_S = 5.0
# Seconds that a client has to read its last answer before what it still sends meets a closed socket: the reset would
# destroy the answer.
_LINGER_S = 2.0
_RECHECK_DELAY_S = 0.25


class Connection(asyncio.Protocol):
    """A connection.

    Args:
        server: The server that it belongs to.

    Attributes:
        deadline: When `expire` is to be called, by the event loop's clock.
    """

    def __init__(self, server: ConnectionOwner) -> None:
        self.deadline = math.inf
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(self._begin, self._body, self._end)
        self._running: AnyCycle | None = None
        self._latest: AnyCycle | None = None
        self._queue: deque[AnyCycle] = deque()
        self._buffered = bytearray()
        self._ignores_input = self._closing = self._half_closed = self._head_timed = self._is_final = False
        self._idle_since, self._last_unsent = 0.0, 0

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not derive from asyncio's
        self._flow = FlowControl(self._transport)
        self._cycles = Cycles(
            *(self._server, self._transport, self._flow), close=self.close, abort=self._abort, ended=self._on_answered
        )
        self._is_admitted = self._server.register(self)
        self._idle_since = self._loop.time()
        self.deadline = self._idle_since + self._server.limits.header_timeout

    def connection_lost(self, _: Exception | None) -> None:
        """See asyncio."""
        self._server.connections.discard(self)
        self.deadline = math.inf
        self._ignores_input = self._closing = True
        self._disconnect()
        self._queue.clear()
        self._buffered.clear()
        self._running = self._latest = None
        self._flow.resume_writing()
        # What refers back to this object goes now: the collector, which would find it, seldom looks.
        self._reader.close()
        del self._cycles

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if len(data) <= _MAX_READ and not (self._queue or self._ignores_input):
            self._feed(data)
        else:
            self._feed_slices(memoryview(data))

    def eof_received(self) -> bool:
        """See asyncio: False closes the connection."""
        self._half_closed = True
        if self._closing or self._running is None:
            return False
        for cycle in (self._running, *self._queue):
            cycle.half_close()
        return True

    def pause_writing(self) -> None:
        """See asyncio."""
        self._flow.pause_writing()
        if not self._closing:  # the relay aborts its clients earlier, and says why
            self.deadline = self._loop.time() + 2 * self._server.limits.send_timeout

    def resume_writing(self) -> None:
        """See asyncio."""
        self._flow.resume_writing()
        if not self._closing:
            self._set_deadline()

    def _abort(self) -> None:
        """The application gives the client up."""
        self._transport.abort()
        self._disconnect()

    def _disconnect(self) -> None:
        for cycle in (self._running, self._latest, *self._queue):
            if cycle is not None:
                cycle.disconnect()

    # Called by the server

    def shutdown(self) -> None:
        """The worker stops: the next answer is the last, and an idle connection ends soon."""
        if self._running is not None:
            self._announce_close(self._running)
        elif not self._closing:
            self._set_deadline()
            now = self._loop.time()
            if self.deadline <= now:
                self.expire(now)

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        if self._closing:
            unsent = self._transport.get_write_buffer_size()
            if 0 < unsent < self._last_unsent:  # it reads, but slowly
                self._last_unsent, self.deadline = unsent, now + self._server.limits.send_timeout
            else:
                self._transport.abort()
        elif self._running is not None:
            self._transport.abort()
        elif self._reader.in_head:
            seconds = self._server.limits.header_timeout
            self._refuse(RequestTimeout(f"The request head was not complete within {seconds:g} s."))
        elif has_unread_data(self._transport):
            self.deadline = now + _RECHECK_DELAY_S
        else:
            self.close()

    def close(self) -> None:
        """Closes the connection once all that was written has been sent."""
        if self._closing:
            return
        latest = self._latest
        read_all = not (self._ignores_input or self._reader.in_head or (latest is not None and latest.more_body))
        self._closing = self._ignores_input = True
        self._queue.clear()
        self._buffered.clear()
        if self._half_closed or (read_all and not has_unread_data(self._transport)):
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()
            self._flow.resume_reading()
        self._last_unsent = self._transport.get_write_buffer_size()
        self.deadline = self._loop.time() + (self._server.limits.send_timeout if self._last_unsent else _LINGER_S)

    # Called by the reader

    def _begin(self, method: str, target: bytes, version: str, headers: list[Header]) -> None:
        if self._is_final:  # the client itself announced that nothing follows
            self._ignores_input = True
            return
        if not (self._is_admitted or self._server.has_room()):
            raise TooManyConnections(
                f"{self._server.limits.connections} clients are connected, the maximum (MAX_CONNECTIONS). "
                "Please try again.",
                retry_after=1,
            )
        reader = self._reader
        cycle = self._cycles.request(
            *(method, target, version, headers), expects_continue=reader.expects_continue, keep_alive=reader.keep_alive
        )
        self._is_final = not reader.keep_alive
        self._enqueue(cycle)

    def _body(self, piece: bytes) -> None:
        cycle = self._latest
        if cycle is not None and not self._ignores_input and not cycle.response_complete:
            cycle.add(piece)

    def _end(self) -> None:
        cycle = self._latest
        if cycle is None or self._ignores_input:
            return
        cycle.complete()
        if self._running is None:  # it was answered before its end
            self._become_idle()

    # Requests in order

    def _enqueue(self, cycle: AnyCycle) -> None:
        cycle.half_closed = self._half_closed
        self._latest = cycle
        if self._running is None:
            self._start(cycle)
            return
        if self._server.stopping and not self._running.response_started:
            self._running.keep_alive = True  # it would have announced the end, but another request follows
        self._queue.append(cycle)

    def _start(self, cycle: AnyCycle) -> None:
        self._running = cycle
        self._head_timed = False
        self.deadline = math.inf
        if self._server.stopping:
            self._announce_close(cycle)
        self._server.run_task(cycle.run(self._server.app))

    def _announce_close(self, cycle: AnyCycle) -> None:
        """Makes the answer say `connection: close`, unless it has begun or more requests are waiting."""
        if not (self._queue or self._buffered or cycle.response_started):
            cycle.keep_alive = False

    def _on_answered(self) -> None:
        self._running = None
        if self._closing:
            return
        self._flow.resume_reading()
        if self._queue:
            self._start(self._queue.popleft())
        if self._buffered and not self._queue:  # the rest of the request that starts, or the next ones
            held, self._buffered = self._buffered, bytearray()
            self._feed_slices(memoryview(held))
        if self._running is None:
            self._become_idle()

    def _become_idle(self) -> None:
        """No request is running any more."""
        self._idle_since = self._loop.time()
        if self._half_closed:
            self.close()
        else:
            self._set_deadline()

    def _set_deadline(self) -> None:
        """Sets the deadline for what the connection waits for now."""
        limits, latest = self._server.limits, self._latest
        if self._running is not None:
            self.deadline = math.inf
        elif self._reader.in_head:
            self._start_head_timer()
        elif latest is not None and latest.more_body:
            self.deadline = self._idle_since + _DRAIN_S
        elif self._server.stopping:
            self.deadline = self._idle_since + limits.linger
        else:
            self.deadline = self._idle_since + (limits.header_timeout if latest is None else limits.keep_alive)

    def _start_head_timer(self) -> None:
        if not self._head_timed:
            self._head_timed = True
            self.deadline = self._loop.time() + self._server.limits.header_timeout

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            self._reader.feed(data)
        except GatewayError as error:
            self._refuse(error)
        else:
            if self._running is None and self._reader.in_head:
                self._start_head_timer()

    def _feed_slices(self, data: memoryview) -> None:
        for start in range(0, len(data), _MAX_READ):
            if self._ignores_input:
                return
            if self._queue:
                self._buffer(data[start:])
                return
            self._feed(data[start : start + _MAX_READ])

    def _buffer(self, data: bytes | memoryview) -> None:
        """Buffers what arrives behind the running and the waiting requests."""
        self._buffered += data
        if len(self._buffered) > _MAX_BUFFERED:
            self._refuse(BodyTooLarge(f"More than {_MAX_BUFFERED} bytes arrived behind a request that still runs."))

    def _refuse(self, error: GatewayError) -> None:
        """Nothing after this can be read: the error is the connection's last answer."""
        self._ignores_input = True
        self._buffered.clear()
        self._flow.resume_reading()
        latest = self._latest
        if latest is None or not latest.more_body:
            self._enqueue(self._cycles.refused(error, self._reader.headers))
        elif latest.response_complete:
            self.close()
        else:
            latest.fail_body(error)
