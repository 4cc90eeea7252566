"""A limit on the connections that are opened at the same time.

Whoever opens a thousand at once gets to write on the first one only when the event loop has dealt with the last, and
engines close a new connection on which nothing arrives. In turns, each is written on soon after it is accepted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Opening takes one or two rounds of the event loop.
MAX_CONNECTING = 64
# An address that answers nothing holds up those who wait no longer than this, in seconds.
_MAX_HELD_S = 0.25


class ConnectLimit:
    """Lets so many open a connection at once; the others wait in order. One per engine."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_CONNECTING)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn, which ends with the block, or before it where connecting is slow."""
        is_over = False

        def end() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._free.release()

        await self._free.acquire()
        timer = asyncio.get_running_loop().call_later(_MAX_HELD_S, end)
        try:
            yield
        finally:
            timer.cancel()
            end()
