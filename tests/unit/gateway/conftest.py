"""What the gateway's tests share: keys, mock engines in processes of their own, and gateways on real ports."""

from __future__ import annotations

import hashlib
import io
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # `benchmarks` and `tests` are folders of scripts, installed nowhere

from prometheus_client import CollectorRegistry  # noqa: E402 - the path comes first
from tests.support.in_process.mock import Mock, mock_process  # noqa: E402
from tests.support.in_process.server import KEY, LIMITED_KEY, Gateway, running_gateway  # noqa: E402

from gateway.telemetry.log_writer import LogWriter  # noqa: E402
from gateway.telemetry.logs import RequestLog  # noqa: E402
from gateway.telemetry.metrics import Metrics  # noqa: E402
from gateway.telemetry.recorder import Recorder  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

KEYS = """\
keys:
  - {{name: tester, sha256: {tester}, role: admin}}
  - {{name: limited, sha256: {limited}, models: [other-model]}}
"""


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def recorder(metrics: Metrics) -> Iterator[Recorder]:
    writer = LogWriter(io.BytesIO())
    yield Recorder(metrics, RequestLog("info", writer))
    writer.close()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.yaml"
    digests = {"tester": KEY, "limited": LIMITED_KEY}
    path.write_text(KEYS.format(**{name: hashlib.sha256(key.encode()).hexdigest() for name, key in digests.items()}))
    return path


@pytest.fixture(scope="session")
def alpha_port() -> Iterator[int]:
    with mock_process() as (_, port):
        yield port


@pytest.fixture(scope="session")
def beta_port() -> Iterator[int]:
    with mock_process() as (_, port):
        yield port


@pytest.fixture(scope="session")
def llama_port() -> Iterator[int]:
    with mock_process("--owned-by", "llamacpp") as (_, port):
        yield port


@pytest.fixture
async def alpha(alpha_port: int) -> AsyncIterator[Mock]:
    """A mock engine of vLLM's kind that has seen nothing and behaves well."""
    async with Mock.fresh("alpha", alpha_port, owned_by="vllm") as mock:
        yield mock


@pytest.fixture
async def beta(beta_port: int) -> AsyncIterator[Mock]:
    """A second one, for retries."""
    async with Mock.fresh("beta", beta_port, owned_by="vllm") as mock:
        yield mock


@pytest.fixture
async def llama(llama_port: int) -> AsyncIterator[Mock]:
    """A mock engine of llama.cpp's kind."""
    async with Mock.fresh("llama", llama_port, owned_by="llamacpp") as mock:
        yield mock


@pytest.fixture
async def serve(keys_file: Path) -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """Starts gateways: `await serve(alpha, beta, ttft_timeout=0.3)`."""
    async with AsyncExitStack() as stack:

        async def start(*engines: Any, **settings: Any) -> Gateway:
            urls = {engine.name: engine.url for engine in engines}
            return await stack.enter_async_context(running_gateway(urls, keys_file, **settings))

        yield start


@pytest.fixture
async def gateway(serve: Callable[..., Awaitable[Gateway]], alpha: Mock) -> Gateway:
    """A gateway with one good engine."""
    return await serve(alpha)
