"""Work that goes on as long as the gateway does. When it fails it says so, and begins again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from loguru import logger

_PAUSE_S = 1.0


@asynccontextmanager
async def running(works: Mapping[str, Callable[[], Awaitable[None]]], pause: float = _PAUSE_S) -> AsyncIterator[None]:
    """Runs all of them inside it, each in a task of its own; they are cancelled at the end.

    Args:
        works: What to run, by the name that the log has for it; each should never end.
        pause: Seconds before one that failed begins again.
    """
    tasks = [asyncio.create_task(_keep(name, work, pause), name=name) for name, work in works.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep(name: str, work: Callable[[], Awaitable[None]], pause: float) -> None:
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - whatever it is, the others go on, and so shall this
            logger.exception("{} failed; it begins again in {:g} s", name, pause)
        else:
            logger.error("{} ended, which it should not; it begins again in {:g} s", name, pause)
        await asyncio.sleep(pause)
