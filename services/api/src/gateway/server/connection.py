"""One client's connection: its requests in order, its deadlines, and its end.

Where this differs from uvicorn's protocol: refusals have OpenAI's shape and are observed; reading goes on behind a
running request, so that a client that leaves is always noticed; a client that closes only its side gets what can be
answered without an engine; nothing is closed so that an answer on its way is lost.
"""

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, cast

from gateway.errors import BodyTooLarge, GatewayError, RequestTimeout, TooManyConnections
from gateway.exchange import Header, Scope
from gateway.server.descriptors import unread
from gateway.server.reader import RequestReader
from gateway.server.scope import Scopes
from gateway.server.uvicorn_internals import Cycle, FlowControl, Output

if TYPE_CHECKING:
    from gateway.server.server import Server

# Read at a time, so that thousands of small requests in one packet are not all begun before the first is answered.
_SLICE = 16_384
# Most bytes of further requests that are kept behind a running one.
_MOST_HELD = 1_048_576
# Seconds that a client may go on sending a body whose request has been answered.
_DRAIN_S = 5.0
# Seconds that a client gets to read its last answer before what it still sends meets a closed socket (a reset, which
# would take the answer with it).
_LINGER_S = 2.0
_SOON_S = 0.25


class Connection(asyncio.Protocol):
    """A connection.

    Args:
        server: Whose it is.

    Attributes:
        deadline: When `expire` is to be called, by the event loop's clock.
    """

    def __init__(self, server: "Server") -> None:
        self.deadline = math.inf
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(self._begin, self._body, self._end)
        self._running: Cycle | None = None
        self._latest: Cycle | None = None
        self._queue: deque[Cycle] = deque()
        self._held = bytearray()
        self._deaf = self._closing = self._half_closed = self._timed = self._last = False
        self._idle_since, self._unsent = 0.0, 0

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not derive from asyncio's
        self._output = Output(self._transport, self.close)
        self._flow = FlowControl(self._transport)
        address, client = (transport.get_extra_info(name) for name in ("sockname", "peername"))
        self._scopes = Scopes(address, client, self._drop, self._server.state)
        self._welcome = self._server.made(self)
        self._idle_since = self._loop.time()
        self.deadline = self._idle_since + self._server.limits.header_timeout

    def connection_lost(self, _: Exception | None) -> None:
        """See asyncio."""
        self._server.connections.discard(self)
        self.deadline = math.inf
        self._deaf = self._closing = True
        self._disconnect()
        self._queue.clear()
        self._held.clear()
        self._running = self._latest = None
        self._flow.resume_writing()
        self._reader.close()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if len(data) <= _SLICE and not (self._queue or self._deaf):
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
        if not self._closing:  # the relay drops its clients earlier, and says why
            self.deadline = self._loop.time() + 2 * self._server.limits.send_timeout

    def resume_writing(self) -> None:
        """See asyncio."""
        self._flow.resume_writing()
        if not self._closing:
            self._wait()

    def _drop(self) -> None:
        """The application wants nothing of this client any more."""
        self._transport.abort()
        self._disconnect()

    def _disconnect(self) -> None:
        for cycle in (self._running, self._latest, *self._queue):
            if cycle is not None:
                cycle.disconnect()

    # The server's side

    def shutdown(self) -> None:
        """The worker stops: the answer that comes next is the last, and an idle connection ends soon."""
        if self._running is not None:
            self._announce_end(self._running)
        elif not self._closing:
            self._wait()
            now = self._loop.time()
            if self.deadline <= now:
                self.expire(now)

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        if self._closing:
            unsent = self._transport.get_write_buffer_size()
            if 0 < unsent < self._unsent:  # it reads, slowly
                self._unsent, self.deadline = unsent, now + self._server.limits.send_timeout
            else:
                self._transport.abort()
        elif self._running is not None:
            self._transport.abort()
        elif self._reader.in_head:
            seconds = self._server.limits.header_timeout
            self._refuse(RequestTimeout(f"The request's head was not whole within {seconds:g} s."))
        elif unread(self._transport):
            self.deadline = now + _SOON_S
        else:
            self.close()

    def close(self) -> None:
        """Ends the connection once all that was written is out."""
        if self._closing:
            return
        latest = self._latest
        read_all = not (self._deaf or self._reader.in_head or (latest is not None and latest.more_body))
        self._closing = self._deaf = True
        self._queue.clear()
        self._held.clear()
        if self._half_closed or (read_all and not unread(self._transport)):
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()
            self._flow.resume_reading()
        self._unsent = self._transport.get_write_buffer_size()
        self.deadline = self._loop.time() + (self._server.limits.send_timeout if self._unsent else _LINGER_S)

    # The reader's side

    def _begin(self, method: str, target: bytes, version: str, headers: list[Header]) -> None:
        if self._last:  # the client has said itself that nothing follows
            self._deaf = True
            return
        if not (self._welcome or self._server.has_room()):
            raise TooManyConnections(
                f"{self._server.limits.connections} clients are connected, as many as the gateway takes at once "
                "(MAX_CONNECTIONS). Please try again.",
                retry_after=1,
            )
        scope = self._scopes.request(method, target, version, headers)
        self._last = not self._reader.keep_alive
        self._take(scope, expects_continue=self._reader.expects_continue, keep_alive=self._reader.keep_alive)

    def _body(self, piece: bytes) -> None:
        cycle = self._latest
        if cycle is not None and not self._deaf and not cycle.response_complete:
            cycle.add(piece)

    def _end(self) -> None:
        cycle = self._latest
        if cycle is None or self._deaf:
            return
        cycle.complete()
        if self._running is None:  # it had been answered before
            self._rest()

    # Requests in order

    def _take(self, scope: Scope, *, expects_continue: bool = False, keep_alive: bool = True) -> None:
        cycle = Cycle(
            scope, self._output, self._flow,
            expects_continue=expects_continue, keep_alive=keep_alive, ended=self._answered,
        )  # fmt: skip
        cycle.half_closed = self._half_closed
        self._latest = cycle
        if self._running is None:
            self._start(cycle)
            return
        if self._server.stopping and not self._running.response_started:
            self._running.keep_alive = True  # it would have announced the end, but there is more to answer
        self._queue.append(cycle)

    def _start(self, cycle: Cycle) -> None:
        self._running = cycle
        self._timed = False
        self.deadline = math.inf
        if self._server.stopping:
            self._announce_end(cycle)
        self._server.run_task(cycle.run(self._server.app))

    def _announce_end(self, cycle: Cycle) -> None:
        """Has the answer say `connection: close`, unless it has begun or more requests wait behind it."""
        if not (self._queue or self._held or cycle.response_started):
            cycle.keep_alive = False

    def _answered(self) -> None:
        self._running = None
        if self._closing:
            return
        self._flow.resume_reading()
        if self._queue:
            self._start(self._queue.popleft())
        if self._held and not self._queue:  # the rest of the one that starts, or the next ones
            held, self._held = self._held, bytearray()
            self._feed_slices(memoryview(held))
        if self._running is None:
            self._rest()

    def _rest(self) -> None:
        """No request is running."""
        self._idle_since = self._loop.time()
        if self._half_closed:
            self.close()
        else:
            self._wait()

    def _wait(self) -> None:
        """Sets the deadline for what is waited for now."""
        limits, latest = self._server.limits, self._latest
        if self._running is not None:
            self.deadline = math.inf
        elif self._reader.in_head:
            self._time_head()
        elif latest is not None and latest.more_body:
            self.deadline = self._idle_since + _DRAIN_S
        elif self._server.stopping:
            self.deadline = self._idle_since + limits.linger
        else:
            self.deadline = self._idle_since + (limits.header_timeout if latest is None else limits.keep_alive)

    def _time_head(self) -> None:
        if not self._timed:
            self._timed = True
            self.deadline = self._loop.time() + self._server.limits.header_timeout

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            self._reader.feed(data)
        except GatewayError as error:
            self._refuse(error)
        else:
            if self._running is None and self._reader.in_head:
                self._time_head()

    def _feed_slices(self, data: memoryview) -> None:
        for start in range(0, len(data), _SLICE):
            if self._deaf:
                return
            if self._queue:
                self._hold(data[start:])
                return
            self._feed(data[start : start + _SLICE])

    def _hold(self, data: bytes | memoryview) -> None:
        """Keeps what has come behind a running request and those that wait."""
        self._held += data
        if len(self._held) > _MOST_HELD:
            self._refuse(BodyTooLarge(f"More than {_MOST_HELD} bytes have come behind a request that still runs."))

    def _refuse(self, error: GatewayError) -> None:
        """Nothing behind this can be read: the error is the connection's last answer."""
        self._deaf = True
        self._held.clear()
        self._flow.resume_reading()
        latest = self._latest
        if latest is None or not latest.more_body:
            self._take(self._scopes.refused(error, self._reader.headers), keep_alive=False)
        elif latest.response_complete:
            self.close()
        else:
            latest.fail(error)
