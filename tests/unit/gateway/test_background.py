"""Work in the background: what fails says so and begins again, and nothing holds up the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.in_process.server import Gateway, until

from gateway.background import running

if TYPE_CHECKING:
    import pytest
    from tests.support.in_process.mock import Mock


async def test_what_fails_is_logged_and_begins_again_while_the_others_go_on(gateway: Gateway) -> None:
    begun: list[str] = []

    async def fails() -> None:
        begun.append("fails")
        raise RuntimeError("the reason")

    async def ends() -> None:
        begun.append("ends")

    async def goes_on() -> None:
        begun.append("goes on")
        await asyncio.Event().wait()

    async with running({"one": fails, "two": ends, "three": goes_on}, restart_delay=0.01):
        await until(lambda: begun.count("fails") >= 3 and begun.count("ends") >= 3)
    assert begun.count("goes on") == 1
    failed = next(line for line in gateway.lines() if line.get("message", "").startswith("one failed"))
    assert failed["level"] == "error"
    assert "the reason" in str(failed)
    assert any(line.get("message", "").startswith("two ended") for line in gateway.lines())
    count = len(begun)
    await asyncio.sleep(0.05)
    assert len(begun) == count, "it goes on behind the end"


async def test_a_watcher_that_dies_is_told_of_and_watches_again(
    gateway: Gateway, alpha: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        monkeypatch.undo()
        raise RuntimeError("the watch dies")

    monkeypatch.setattr(gateway.metrics.event_loop_lag, "observe", lambda _: broken())
    await until(lambda: any("the watch dies" in str(line) for line in gateway.lines()))
    line = next(line for line in gateway.lines() if "the watch dies" in str(line))
    assert line["message"].startswith("event loop monitor failed")
    assert (await gateway.chat()).status_code == 200
    assert (await alpha.truth())["requests"] == 1
