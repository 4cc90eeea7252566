"""Background tasks that run as long as the gateway does. One that fails is logged and restarted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from loguru import logger

_RESTART_DELAY_S = 1.0


@asynccontextmanager
async def running(
    tasks: Mapping[str, Callable[[], Awaitable[None]]], restart_delay: float = _RESTART_DELAY_S
) -> AsyncIterator[None]:
    """Runs the tasks while its block is entered, and cancels them at the end.

    Args:
        tasks: Coroutine functions by their name in the log; none of them should ever return.
        restart_delay: Seconds before a task that failed is restarted.
    """
    running_tasks = [
        asyncio.create_task(_supervise(name, task, restart_delay), name=name) for name, task in tasks.items()
    ]
    try:
        yield
    finally:
        for running_task in running_tasks:
            running_task.cancel()
        await asyncio.gather(*running_tasks, return_exceptions=True)


async def _supervise(name: str, task: Callable[[], Awaitable[None]], restart_delay: float) -> None:
    while True:
        try:
            await task()
        except Exception:  # noqa: BLE001 - whatever it is, the other tasks continue, and this one is restarted
            logger.exception("{} failed; restarting in {:g} s", name, restart_delay)
        else:
            logger.error("{} ended unexpectedly; restarting in {:g} s", name, restart_delay)
        await asyncio.sleep(restart_delay)
