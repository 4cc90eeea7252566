"""A timeout that counts the time in which the event loop was responsive, not the time in which it was blocked.

A thousand requests at the same instant keep the loop busy for seconds. The engine has accepted their connections long
before the loop notices: it is not to blame, and another engine would be no better.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# The interval of the ticks; of the time between two of them, no more than twice this counts.
_TICK_S = 0.1


@asynccontextmanager
async def connect_timeout(seconds: float) -> AsyncIterator[None]:
    """Cancels what is awaited inside after `seconds` of a responsive event loop.

    Raises:
        TimeoutError: The time is up.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        left, last_tick = seconds, loop.time()
        timer: asyncio.TimerHandle

        def on_tick() -> None:
            nonlocal left, last_tick, timer
            now = loop.time()
            left -= min(now - last_tick, 2 * _TICK_S)
            last_tick = now
            if left <= 0:
                timeout.reschedule(now)
            else:
                timer = loop.call_later(min(left, _TICK_S), on_tick)

        timer = loop.call_later(min(left, _TICK_S), on_tick)
        try:
            yield
        finally:
            timer.cancel()
