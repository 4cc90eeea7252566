"""What may cut a request short: a phase that takes too long, and a client that has gone.

Both cancel the task that serves the request, and `RequestDeadline` turns that cancellation into the exception that says
why. A phase costs a few attribute writes per event, and no timer of its own: one timer checks all running requests.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from gateway.errors import ClientDisconnected, EnginePhase, EngineTimeout, GatewayError, RequestTimeout

# How late the end of a phase may be noticed, in seconds.
_TICK_S = 0.1
# A timer that fires later than this shows that the event loop was blocked, and that what is awaited may lie unread in
# the socket: the next check is a moment later.
_MAX_LAG_S = 0.25

# In the two additional phases the client is slow: to send its request, or to read its answer.
Phase = EnginePhase | Literal["body", "send"]

Subscribe = Callable[[Callable[[], None] | None], None]


def cancellation_handled() -> None:
    """Tells asyncio that this task has handled its cancellation and goes on, to say why it was cancelled.

    Otherwise a timeout in it may be mistaken for the cancellation: Python 3.11.2 (Debian bookworm) then raises
    CancelledError instead of TimeoutError.
    """
    task = asyncio.current_task()
    while task is not None and task.uncancel():
        pass


class DeadlineTimer:
    """Checks the deadlines of all running requests of a worker, ten times a second while there are any."""

    def __init__(self) -> None:
        self._running: set[RequestDeadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, deadline: "RequestDeadline") -> None:
        """A request has begun."""
        self._running.add(deadline)
        if self._timer is None:
            self._schedule(asyncio.get_running_loop())

    def discard(self, deadline: "RequestDeadline") -> None:
        """A request has ended."""
        self._running.discard(deadline)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_TICK_S, self._check, loop, loop.time() + _TICK_S)

    def _check(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = None
        now = loop.time()
        if now - due <= _MAX_LAG_S:
            for deadline in [each for each in self._running if each.at <= now]:
                deadline.expire(now)
        if self._running:
            self._schedule(loop)


class RequestDeadline:
    """Limits the task that enters it. Reusable: each `with` that ends by a cancellation of ours raises its reason.

    Args:
        timer: Checks it, until `stop`.
        total: Seconds that the whole request may take.

    Attributes:
        at: When the phase ends, by the event loop's clock.

    Raises:
        EngineTimeout: On leaving the block: the phase ran out of time (ttft, idle, total).
        RequestTimeout: The request's body stopped arriving.
        ClientDisconnected: The client closed its connection, or does not read.
    """

    __slots__ = ("_ends_at", "_now", "_phase", "_reason", "_seconds", "_subscribe", "_task", "_timer", "_total", "at")

    def __init__(self, timer: DeadlineTimer, *, total: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("RequestDeadline must be created in the task that it limits.")
        self._task = task
        self._now = asyncio.get_running_loop().time
        self._total = total
        self._ends_at = self.at = self._now() + total
        self._phase: Phase = "total"
        self._seconds = total
        self._subscribe: Subscribe | None = None
        self._reason: GatewayError | None = None
        self._timer = timer
        timer.add(self)

    def phase(self, name: Phase, seconds: float, since: float | None = None) -> float:
        """From now on, the request is in this phase, for at most `seconds`.

        Args:
            name: The phase; decides which exception ends it.
            seconds: How long it may take.
            since: When it began, as an earlier call returned it; now if omitted.

        Returns:
            When the phase began, by the event loop's clock.
        """
        began = self._now() if since is None else since
        self._phase, self._seconds = name, seconds
        at = began + seconds
        self.at = at if at < self._ends_at else self._ends_at  # noqa: FURB136 - twice per event: a call less
        return began

    def watch_disconnect(self, subscribe: Subscribe) -> None:
        """Interrupts the request when the client has gone.

        Args:
            subscribe: Has a callback called when that happens, or none any more; see `Exchange.on_disconnect`.
        """
        self._subscribe = subscribe
        subscribe(self._client_left)

    def begin_final_write(self, seconds: float) -> None:
        """What is written next ends the answer: the client may leave after it, but must read it within `seconds`."""
        self._unsubscribe()
        self.phase("send", seconds)

    def stop(self) -> None:
        """Stops watching: nothing cuts the request short any more."""
        self._timer.discard(self)
        self._unsubscribe()

    def expire(self, now: float) -> None:
        """The phase has run out of time."""
        self.interrupt(self._timed_out(now))

    def interrupt(self, reason: GatewayError) -> None:
        """Cancels what the task is doing; the `with` around it raises the reason. The first reason counts."""
        if self._reason is None:
            self._reason = reason
            self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._reason is not None and kind is not None and issubclass(kind, asyncio.CancelledError):
            reason, self._reason = self._reason, None
            self._task.uncancel()
            raise reason

    def _client_left(self) -> None:
        self._subscribe = None
        self.interrupt(ClientDisconnected("The client closed the connection."))

    def _unsubscribe(self) -> None:
        if self._subscribe is not None:
            self._subscribe(None)
            self._subscribe = None

    def _timed_out(self, now: float) -> GatewayError:
        if now >= self._ends_at:
            return EngineTimeout(f"The request was not finished within {self._total:g} s.", phase="total")
        if self._phase == "body":
            return RequestTimeout(f"The request's body stopped coming for {self._seconds:g} s.")
        if self._phase == "send":
            return ClientDisconnected(f"The client read nothing for {self._seconds:g} s.", code="client_too_slow")
        action = "begun to answer" if self._phase == "ttft" else "sent anything more"
        return EngineTimeout(f"The engine has not {action} within {self._seconds:g} s.", phase=self._phase)
