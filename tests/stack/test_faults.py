"""Failures in the composed stack, and what clients see meanwhile."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.support.compose.load import CHAT, Load, chat
from tests.support.compose.stack import Stack, docker, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]


def kill(stack: Stack, service: str) -> None:
    """SIGKILL from outside to the container's first process, as from the kernel when memory runs out."""
    docker("kill", "--signal", "KILL", stack.container(service))


# Processes of a container, found from inside it; one that ends meanwhile, as a health check does, has no command line.
PROCESSES = """
import os, signal, pathlib
def read(one, file):
    try: return (one / file).read_bytes()
    except OSError: return b""
processes = [one for one in pathlib.Path("/proc").glob("[0-9]*") if one.name != str(os.getpid())]
"""


def attempts(stack: Stack) -> int:
    """How often the launcher has started its engine."""
    page = stack.fetch("llamacpp", "http://127.0.0.1:8102/metrics")
    (line,) = re.findall(r"^launcher_start_attempts_total (\d+)$", page, re.MULTILINE)
    return int(line)


def test_a_killed_engine_restarts_and_clients_get_errors_meanwhile(
    stack: Stack, measured: Callable[[str], None]
) -> None:
    kill(stack, "llamacpp")
    docker("start", stack.container("llamacpp"))  # `restart` does not count a kill by hand as a crash
    seen = set()

    def back() -> bool:
        with stack.client() as client:
            answer = client.post(CHAT, json=chat(max_tokens=4))
        seen.add(answer.status_code)
        if answer.status_code != httpx.codes.OK:
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        return answer.status_code == httpx.codes.OK

    took = until(back, 60, "the engine answers again")
    assert seen <= {httpx.codes.OK, httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE}
    measured(f"engine container killed: answers again after {took:.1f} s, meanwhile {sorted(seen)}")


def test_an_engine_process_that_dies_is_started_again_by_its_launcher(stack: Stack) -> None:
    before = stack.container("llamacpp")
    code = (
        "for one in processes:\n"
        "    if b'llamacpp_server.engine' in read(one, 'cmdline'): os.kill(int(one.name), signal.SIGKILL)"
    )
    began = attempts(stack)
    stack.execute("llamacpp", "python", "-c", PROCESSES + code)
    until(lambda: attempts(stack) == began + 1, 20, "the launcher starts it again")
    until(stack.is_ready, 60, "it serves again")
    assert stack.container("llamacpp") == before


def test_a_killed_worker_costs_its_own_requests_only(stack: Stack) -> None:
    code = (
        "parents = {one.name: read(one, 'stat').rpartition(b')')[2].split()[1].decode()\n"
        "           for one in processes if b'gunicorn' in read(one, 'cmdline')}\n"
        "workers = [one for one, parent in parents.items() if parent in parents and parent != '1']\n"
        "os.kill(int(workers[0]), signal.SIGKILL); print(len(workers))"
    )
    container = stack.container("api")
    assert stack.execute("api", "python", "-c", PROCESSES + code).strip() == "1"
    until(stack.is_ready, 20, "a new worker serves")
    assert stack.container("api") == container


def test_a_gateway_with_a_new_address_is_found(stack: Stack, measured: Callable[[str], None]) -> None:
    def addresses() -> set[str]:
        (row,) = [row for row in stack.containers() if row["Service"] == "api"]
        return {network["IPAddress"] for network in row["Inspected"]["NetworkSettings"]["Networks"].values()}

    before = addresses()
    stack.compose("rm", "--stop", "--force", "api")
    taken = docker(
        "run", "-d", "--rm", "--network", f"{stack.name}_front", "glasshouse-test/python:3.11", "sleep", "300"
    )
    try:
        began = time.monotonic()
        stack.compose("up", "--detach", "api")
        until(stack.is_ready, 60, "nginx finds the gateway")
        measured(f"gateway re-created with another address: served again {time.monotonic() - began:.1f} s after")
        assert addresses() != before
    finally:
        docker("rm", "--force", taken.strip())


def test_a_certificate_is_changed_under_load_without_a_drop(stack: Stack) -> None:
    def served() -> bytes:
        with stack.client() as client, client.stream("GET", "/livez") as answer:
            found: bytes = answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert(True)
        return found

    before, old = served(), stack.certificate.read_bytes()
    load = Load(stack)
    load.trust_any()
    with load:
        stack.certificate.unlink()
        (stack.secrets / "tls" / "key.pem").unlink()
        time.sleep(5)  # longer than nginx looks: a missing certificate changes nothing
        stack.compose("run", "--rm", "init")
        assert stack.certificate.read_bytes() != old
        time.sleep(8)
        load.wait_for_answers(20)
    assert not load.failures()
    assert served() != before


@pytest.mark.parametrize("service", ["prometheus", "blackbox", "nginx-exporter", "node-exporter"])
def test_no_request_fails_without_monitoring(stack: Stack, service: str) -> None:
    with Load(stack, clients=1) as load:
        docker("stop", "--time", "5", stack.container(service))
        try:
            time.sleep(1)
        finally:
            docker("start", stack.container(service))
    assert not load.failures()


def test_a_missing_grafana_is_an_error_in_json_and_does_not_affect_the_api(stack: Stack) -> None:
    with stack.client() as client:
        answer = client.get("/grafana/")
        assert answer.status_code == httpx.codes.BAD_GATEWAY
        assert "Grafana" in answer.json()["error"]["message"]
        assert client.get("/v1/models").status_code == httpx.codes.OK


def test_a_second_start_changes_nothing_and_a_lost_secret_is_created_again(stack: Stack) -> None:
    def secrets() -> dict[Path, tuple[bytes, int]]:
        return {
            path: (path.read_bytes(), path.stat().st_mtime_ns) for path in stack.secrets.rglob("*") if path.is_file()
        }

    before, containers = secrets(), {row["Service"]: row["ID"] for row in stack.containers()}
    stack.up()
    assert secrets() == before
    assert {row["Service"]: row["ID"] for row in stack.containers()} == containers

    lost, following = (stack.secrets / "engine" / name for name in ("engine-key", "engine-key.next"))
    lost.unlink()
    stack.compose("run", "--rm", "init")
    after = secrets()
    assert after.pop(lost) != before.pop(lost)
    assert after.pop(following) != before.pop(following)  # it has taken the place of the lost one
    assert after == before
    stack.compose("restart", "api", "llamacpp", "prometheus")  # those that know it
    until(stack.is_ready, 60, "the new key is the engine's and the gateway's")
