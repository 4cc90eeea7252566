"""A timeout that counts the time in which the event loop ran, not the time in which it was too busy to look.

A thousand requests in one instant keep the loop busy for seconds. The engine has taken their connections long before
the loop gets to see that: it is not to blame, and another engine would be no better.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# How often the time is taken; of what lies between two looks, no more than twice this counts.
_TICK_S = 0.1


@asynccontextmanager
async def connect_timeout(seconds: float) -> AsyncIterator[None]:
    """Ends what is awaited inside after `seconds` of a responsive event loop.

    Raises:
        TimeoutError: The time is over.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        left, looked_at = seconds, loop.time()
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal left, looked_at, timer
            now = loop.time()
            left -= min(now - looked_at, 2 * _TICK_S)
            looked_at = now
            if left <= 0:
                timeout.reschedule(now)
            else:
                timer = loop.call_later(min(left, _TICK_S), look)

        timer = loop.call_later(min(left, _TICK_S), look)
        try:
            yield
        finally:
            timer.cancel()
