"""The wiring: what runs in the background, and how long a start waits for engines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.keys import OLD
from tests.support.in_process.server import Gateway, running_gateway, until
from tests.support.in_process.wire import Wire, listening

from gateway.settings import EnginePrice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.support.in_process.mock import Mock

    Serve = Callable[..., Awaitable[Gateway]]

ALWAYS = {"keys file watcher", "event loop monitor"}
OPTIONAL = {"engine key watcher", "cost ledger"}


def background() -> set[str]:
    """The names of the gateway's background tasks."""
    names = {task.get_name() for task in asyncio.all_tasks()}
    return {name for name in names if name in ALWAYS | OPTIONAL or name.startswith("engine monitor ")}


async def test_each_engine_has_a_monitor(serve: Serve, alpha: Mock, beta: Mock) -> None:
    await serve(alpha, beta)
    assert background() == ALWAYS | {"engine monitor alpha", "engine monitor beta"}


async def test_nothing_runs_after_the_end(keys_file: Path, alpha: Mock) -> None:
    async with running_gateway({"alpha": alpha.url}, keys_file):
        assert background() > ALWAYS
    assert background() == set()


async def test_what_is_optional_runs_only_if_it_is_configured(serve: Serve, alpha: Mock, tmp_path: Path) -> None:
    key_file = tmp_path / "engine-key"
    key_file.write_text(OLD)
    await serve(alpha, engine_key_file=key_file, engine_prices=(EnginePrice("alpha", "0.5"),))
    assert background() >= OPTIONAL


async def test_a_start_does_not_wait_for_a_silent_engine(
    keys_file: Path, alpha: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.app._FIRST_POLL_TIMEOUT_S", 0.2)
    monkeypatch.setattr("gateway.engines.monitor._POLL_TIMEOUT_S", 60.0)

    async def say_nothing(wire: Wire) -> None:
        await wire.gone()

    async with listening(say_nothing) as (port, _):
        engines: dict[str, Any] = {"alpha": alpha.url, "silent": f"http://127.0.0.1:{port}"}
        async with running_gateway(engines, keys_file) as gateway:
            assert gateway.engine("silent").reason == "not polled yet"
            await until(lambda: gateway.engine("alpha").ready)
            assert (await gateway.chat()).status_code == 200
