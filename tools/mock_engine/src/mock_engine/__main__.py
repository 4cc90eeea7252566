"""The mock engine's command line: `python -m mock_engine --port 18200`."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import TYPE_CHECKING

import uvloop

from mock_engine.engine import MockEngine

if TYPE_CHECKING:
    from collections.abc import Sequence


async def serve(engine: MockEngine) -> None:
    """Serve until SIGTERM or SIGINT; accept no more connections after SIGUSR1."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    def stop_accepting() -> None:
        engine.stop_accepting()
        print("mock engine accepts no more connections", flush=True)

    loop.add_signal_handler(signal.SIGUSR1, stop_accepting)
    async with engine:
        print(f"mock engine ready on {engine.url}", flush=True)
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="An OpenAI-compatible mock engine that generates fixed tokens.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on [127.0.0.1]")
    parser.add_argument("--port", type=int, required=True, help="0 chooses a free one, which is printed")
    parser.add_argument("--model", action="append", help="name of a model to serve; repeatable [mock]")
    parser.add_argument("--owned-by", choices=("vllm", "llamacpp"), default="vllm")
    parser.add_argument("--key", help="bearer key for /v1 (not a real one: it is visible in the process list)")
    given = parser.parse_args(arguments)
    models = tuple(given.model or ("mock",))
    uvloop.run(
        serve(MockEngine(models=models, owned_by=given.owned_by, key=given.key, host=given.host, port=given.port))
    )


if __name__ == "__main__":
    main()
