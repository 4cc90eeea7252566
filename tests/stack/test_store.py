"""The profile `store`: two Valkeys in real Docker, a cache that evicts and a job store that never does."""

from collections.abc import Iterator

import pytest
from tests.stack.conftest import free_port
from tests.support.compose.stack import Stack, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

BOTH = ("valkey", "valkey-jobs")


@pytest.fixture(scope="module")
def store(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both of them, healthy, from nothing; the images are those of the whole stack."""
    profile = {"COMPOSE_PROFILES": "store"}
    store = Stack(f"{stack.name}-store", tmp_path_factory.mktemp("store"), free_port(), free_port(), settings=profile)
    store.docker_config = stack.docker_config
    try:
        store.up(*BOTH)
        yield store
    finally:
        store.down()


def ask(store: Stack, service: str, *words: str) -> str:
    return store.execute(service, "valkey-cli", "-e", *words).strip()


def test_both_start_as_the_services_user_and_are_healthy(store: Stack) -> None:
    rows = {row["Service"]: row for row in store.containers()}
    for service in BOTH:
        assert rows[service]["Health"] == "healthy"
        users = docker("top", rows[service]["ID"], "-eo", "pid,uid").splitlines()[1:]
        assert {line.split()[1] for line in users} == {"10001"}


@pytest.mark.parametrize("service", BOTH)
def test_what_was_written_is_there_after_a_crash(store: Stack, service: str) -> None:
    ask(store, service, "set", "job:1", "accepted")
    if service == "valkey":  # which writes every second
        ask(store, service, "waitaof", "1", "0", "5000")
    docker("kill", "--signal", "KILL", store.container(service))
    docker("start", store.container(service))  # `restart` does not count a kill by hand as a crash
    store.up(*BOTH)
    assert ask(store, service, "get", "job:1") == "accepted"


def fill(store: Stack, service: str) -> str:
    """Writes answers until one is refused, or twice of what fits was written; what it says to the last.

    Valkey's clock of uses has a second: what was written within one is evicted at random, so the first 100 and the last
    10 are written apart from the others.
    """
    ask(store, service, "config", "set", "maxmemory", "20mb")  # as full as with what is configured, and sooner
    script = """
import socket, time
s = socket.create_connection(("127.0.0.1", 6379), 30); f = s.makefile("rb")
for number in range(400):
    if number in (100, 390): time.sleep(2)
    words = ["set", f"answer:{number}", "x" * 100_000, "ex", "3600"]
    s.sendall(f"*{len(words)}\\r\\n".encode() + b"".join(f"${len(w)}\\r\\n{w}\\r\\n".encode() for w in words))
    reply = f.readline().decode().strip()
    if reply != "+OK": break
print(reply)
"""
    return store.execute(service, "python3", "-c", script).strip()


def test_a_full_cache_evicts_old_answers_but_nothing_without_an_expiry(store: Stack) -> None:
    ask(store, "valkey", "set", "budget:alice", "41")
    assert fill(store, "valkey") == "+OK"
    assert ask(store, "valkey", "get", "budget:alice") == "41"
    oldest, latest = (["exists", *(f"answer:{n}" for n in numbers)] for numbers in (range(100), range(390, 400)))
    assert int(ask(store, "valkey", *oldest)) < 20  # 50 in a run that wrote all 400 in one second
    assert ask(store, "valkey", *latest) == "10"


def test_a_cache_full_of_entries_without_an_expiry_returns_an_error(store: Stack) -> None:
    ask(store, "valkey", "flushall")
    ask(store, "valkey", "set", "budgets", "x" * 100_000)
    ask(store, "valkey", "config", "set", "maxmemory", "1mb")
    with pytest.raises(AssertionError, match="OOM"):
        ask(store, "valkey", "set", "budget:bob", "7")


def test_a_full_job_store_refuses_writes_and_keeps_its_data(store: Stack) -> None:
    ask(store, "valkey-jobs", "set", "job:2", "accepted", "ex", "3600")
    assert fill(store, "valkey-jobs").startswith("-OOM")
    assert ask(store, "valkey-jobs", "get", "job:2") == "accepted"
    assert ask(store, "valkey-jobs", "exists", "answer:0") == "1"


PING = """
import socket
s = socket.create_connection(("{address}", 6379), 3); s.sendall(b"PING\\r\\n"); print(s.recv(20).decode())
"""


def address(store: Stack, service: str) -> str:
    """Where it listens, which somebody might guess."""
    (row,) = [row for row in store.containers() if row["Service"] == service]
    (network,) = row["Inspected"]["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


@pytest.mark.parametrize("service", BOTH)
def test_a_store_is_reachable_only_from_its_own_network(store: Stack, stack: Stack, service: str) -> None:
    code = PING.format(address=address(store, service))
    other = "valkey" if service == "valkey-jobs" else "valkey-jobs"
    assert "+PONG" in store.execute(other, "python3", "-c", code)
    for outside in ("api", "nginx"):
        with pytest.raises(AssertionError, match=r"timed out|unreachable"):
            stack.execute(outside, "python3", "-c", code)
