"""What may cut a request short: a phase that takes too long, and a client that has gone.

Both cancel the task that serves the request, and `RequestDeadline` turns that cancellation into the exception that says
why. A phase costs a few attribute writes per event: the timer checks only when it fires whether the deadline has moved.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Literal, Self

from gateway.errors import ClientDisconnected, EnginePhase, EngineTimeout, GatewayError, RequestTimeout

# A timer that fires later than this shows that the event loop was blocked, and that what is awaited may lie unread in
# the socket: there is another check a moment later.
_MAX_LAG_S = 0.25
_RECHECK_DELAY_S = 0.1

# In the two additional phases the client is slow: to send its request, or to read its answer.
Phase = EnginePhase | Literal["body", "send"]


def cancellation_handled() -> None:
    """Tells asyncio that this task has handled its cancellation and goes on, to say why it was cancelled.

    Otherwise a timeout in it may be mistaken for the cancellation: Python 3.11.2 (Debian bookworm) then raises
    CancelledError instead of TimeoutError.
    """
    task = asyncio.current_task()
    while task is not None and task.uncancel():
        pass


class RequestDeadline:
    """Limits the task that enters it. Reusable: each `with` that ends by a cancellation of ours raises its reason.

    Args:
        total: Seconds that the whole request may take.

    Raises:
        EngineTimeout: On leaving the block: the phase ran out of time (ttft, idle, total).
        RequestTimeout: The request's body stopped arriving.
        ClientDisconnected: The client closed its connection, or does not read.
    """

    __slots__ = (
        "_deadline",
        "_ends_at",
        "_loop",
        "_phase",
        "_reason",
        "_seconds",
        "_task",
        "_timer",
        "_total",
        "_was_rechecked",
        "_watcher",
    )

    def __init__(self, *, total: float) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("RequestDeadline must be created in the task that it limits.")
        self._task = task
        self._total = total
        self._ends_at = self._loop.time() + total
        self._phase: Phase = "total"
        self._seconds = total
        self._deadline = self._ends_at
        self._was_rechecked = False
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._reason: GatewayError | None = None

    def phase(self, name: Phase, seconds: float, since: float | None = None) -> float:
        """From now on, the request is in this phase, for at most `seconds`.

        Args:
            name: The phase; decides which exception ends it.
            seconds: How long it may take.
            since: When it began, as an earlier call returned it; now if omitted.

        Returns:
            When the phase began, by the event loop's clock.
        """
        began = self._loop.time() if since is None else since
        self._phase, self._seconds = name, seconds
        self._deadline = min(began + seconds, self._ends_at)
        if self._timer is None or self._timer.when() > self._deadline:
            self._arm()
        return began

    def watch_disconnect(self, wait_for_disconnect: Callable[[], Awaitable[None]]) -> None:
        """Interrupts the request when this, which is awaited in a task of its own, returns: the client has gone."""
        self._watcher = self._loop.create_task(self._wait_for(wait_for_disconnect))

    def begin_final_write(self, seconds: float) -> None:
        """What is written next ends the answer: the client may leave after it, but must read it within `seconds`."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        self.phase("send", seconds)

    def stop(self) -> None:
        """Stops watching: nothing cuts the request short any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._reason is not None and kind is not None and issubclass(kind, asyncio.CancelledError):
            reason, self._reason = self._reason, None
            self._task.uncancel()
            raise reason

    def interrupt(self, reason: GatewayError) -> None:
        """Cancels what the task is doing; the `with` around it raises the reason. The first reason counts."""
        if self._reason is None:
            self._reason = reason
            self._task.cancel()

    async def _wait_for(self, wait_for_disconnect: Callable[[], Awaitable[None]]) -> None:
        await wait_for_disconnect()
        self._watcher = None
        self.interrupt(ClientDisconnected("The client closed the connection."))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        late = self._loop.time() - self._deadline
        if late < 0:
            self._was_rechecked = False
            self._arm()
        elif late > _MAX_LAG_S and not self._was_rechecked:
            self._was_rechecked = True
            self._timer = self._loop.call_later(_RECHECK_DELAY_S, self._on_timer)
        else:
            self.interrupt(self._timed_out())

    def _timed_out(self) -> GatewayError:
        if self._loop.time() >= self._ends_at:
            return EngineTimeout(f"The request was not finished within {self._total:g} s.", phase="total")
        if self._phase == "body":
            return RequestTimeout(f"The request's body stopped coming for {self._seconds:g} s.")
        if self._phase == "send":
            return ClientDisconnected(f"The client read nothing for {self._seconds:g} s.", code="client_too_slow")
        action = "begun to answer" if self._phase == "ttft" else "sent anything more"
        return EngineTimeout(f"The engine has not {action} within {self._seconds:g} s.", phase=self._phase)
