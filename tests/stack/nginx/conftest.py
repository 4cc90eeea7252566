"""nginx as compose.yaml runs it, and as supervisord.conf does, with a stand-in for the gateway behind it."""

import contextlib
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.compose.stack import ROOT, until
from tests.support.http.message import Response
from tests.support.nginx.edge import Edge, Place, StandIn
from tests.support.nginx.talk import HALF_A_BODY, SLOW_HEAD, Client, encode_request, trickle


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """Made once, in minutes."""
    subprocess.run([ROOT / "tests/stack/images/make"], check=True, timeout=900)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, images: None) -> Iterator[Place]:  # noqa: ARG001 - it must be there
    with contextlib.ExitStack() as exits:
        yield Place.make(tmp_path_factory.mktemp("edge"), exits)


@pytest.fixture(scope="session")
def gateway(shared: Place) -> StandIn:
    """The stand-in behind `client`. Nobody ends it."""
    return shared.stand_in()


@pytest.fixture(scope="session")
def edge(shared: Place, gateway: StandIn) -> Edge:  # noqa: ARG001 - it must be there
    """nginx in a container, that nobody ends, reloads or wears out."""
    edge = shared.edge(MAX_BODY_BYTES="100000", TOTAL_TIMEOUT="60")
    client = Client(edge, shared.tls / "cert.pem")
    until(lambda: client.ask("/livez").status == 200, 10, "the gateway is found")
    return edge


@pytest.fixture(scope="session")
def docker_client(edge: Edge, shared: Place) -> Client:
    """For what only the container has: port 80, Grafana."""
    return Client(edge, shared.tls / "cert.pem")


@pytest.fixture(scope="session", params=["docker", "native"])
def client(request: pytest.FixtureRequest, shared: Place, gateway: StandIn) -> Client:
    """For what is the same wherever nginx runs."""
    if request.param == "docker":
        client: Client = request.getfixturevalue("docker_client")
        return client
    edge = shared.native_edge(gateway, MAX_BODY_BYTES="100000", TOTAL_TIMEOUT="60")
    return Client(edge, shared.tls / "cert.pem")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A network and directories for one test."""
    with contextlib.ExitStack() as exits:
        yield Place.make(tmp_path, exits)


@pytest.fixture(scope="session", autouse=True)
def slow(docker_client: Client) -> Iterator[dict[str, "Future[float | Response]"]]:
    """Clients that take their time: they begin with the first test, and test_slow_clients.py asks how they fared."""

    def slow_head() -> float:
        with docker_client.open() as raw:
            return trickle(raw, SLOW_HEAD, b"a", every=1, seconds=40)

    def no_head() -> float:
        with docker_client.plain() as raw:
            return trickle(raw, b"", b"", every=1, seconds=40)

    def half_a_body() -> float:
        with docker_client.open() as raw:
            return trickle(raw, HALF_A_BODY, b"", every=1, seconds=40)

    def hanging_health() -> Response:
        with docker_client.plain() as raw:
            return raw.send(encode_request("/healthz", do={"hang": True})).read_response()

    with ThreadPoolExecutor(4) as pool:
        yield {work.__name__: pool.submit(work) for work in (slow_head, no_head, half_a_body, hanging_health)}
