"""nginx as compose.yaml runs it, and as supervisord.conf does, in front of a fake gateway."""

import contextlib
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.compose.stack import ROOT, until
from tests.support.http.message import Response
from tests.support.nginx.client import HALF_BODY, SLOW_HEAD, NginxClient, encode_request, trickle
from tests.support.nginx.containers import FakeUpstream, NginxContainer, Sandbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.docker)
            item.add_marker(pytest.mark.timeout(1200))  # the first one may build the images


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """Built once, in minutes."""
    subprocess.run([ROOT / "tests/stack/images/make"], check=True, timeout=900)


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory, images: None) -> Iterator[Sandbox]:  # noqa: ARG001 - it has to exist
    with contextlib.ExitStack() as exits:
        yield Sandbox.create(tmp_path_factory.mktemp("nginx"), exits)


@pytest.fixture(scope="session")
def upstream(shared_sandbox: Sandbox) -> FakeUpstream:
    """The fake gateway behind `client`. No test stops it."""
    return shared_sandbox.upstream()


@pytest.fixture(scope="session")
def nginx(shared_sandbox: Sandbox, upstream: FakeUpstream) -> NginxContainer:  # noqa: ARG001 - it has to exist
    """nginx in a container, which no test stops, reloads or overloads."""
    nginx = shared_sandbox.nginx(MAX_BODY_BYTES="100000", TOTAL_TIMEOUT="60")
    client = NginxClient(nginx, shared_sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    return nginx


@pytest.fixture(scope="session")
def docker_client(nginx: NginxContainer, shared_sandbox: Sandbox) -> NginxClient:
    """For what exists only in the container: port 80, Grafana."""
    return NginxClient(nginx, shared_sandbox.tls / "cert.pem")


@pytest.fixture(scope="session", params=["docker", "native"])
def client(request: pytest.FixtureRequest, shared_sandbox: Sandbox, upstream: FakeUpstream) -> NginxClient:
    """For what is the same with and without a container."""
    if request.param == "docker":
        client: NginxClient = request.getfixturevalue("docker_client")
        return client
    nginx = shared_sandbox.native_nginx(upstream, MAX_BODY_BYTES="100000", TOTAL_TIMEOUT="60")
    return NginxClient(nginx, shared_sandbox.tls / "cert.pem")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A network and directories for one test."""
    with contextlib.ExitStack() as exits:
        yield Sandbox.create(tmp_path, exits)


@pytest.fixture(scope="session", autouse=True)
def slow_clients(docker_client: NginxClient) -> Iterator[dict[str, "Future[float | Response]"]]:
    """Slow clients, which start with the first test of this folder; test_slow_clients.py checks their results."""

    def slow_head() -> float:
        with docker_client.open_tls() as raw:
            return trickle(raw, SLOW_HEAD, b"a", every=1, seconds=40)

    def no_head() -> float:
        with docker_client.open_plain() as raw:
            return trickle(raw, b"", b"", every=1, seconds=40)

    def half_a_body() -> float:
        with docker_client.open_tls() as raw:
            return trickle(raw, HALF_BODY, b"", every=1, seconds=40)

    def hanging_health() -> Response:
        with docker_client.open_plain() as raw:
            return raw.send(encode_request("/healthz", do={"hang": True})).read_response()

    with ThreadPoolExecutor(4) as pool:
        yield {work.__name__: pool.submit(work) for work in (slow_head, no_head, half_a_body, hanging_health)}
