"""The GPU shape with real vLLM inside its container: the CPU build of the version that the GPU image has."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.stack.conftest import free_port
from tests.support.compose.stack import ROOT, Stack, docker, until
from tests.support.corpus import longest

pytestmark = [pytest.mark.docker, pytest.mark.vllm, pytest.mark.timeout(2400)]

FILES = ("compose.yaml", "tests/stack/compose.standins.yaml", "tests/stack/compose.vllm-cpu.yaml")
START_S = 600


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, measured: Callable[[str], None]) -> Iterator[Stack]:
    """The stack as it runs on a GPU machine, but for the GPU."""
    stack = Stack(f"glasshouse-vllm-{os.getpid()}", tmp_path_factory.mktemp("vllm"), free_port(), free_port(), FILES)
    dockerfile = ROOT / "tests/stack/images/Dockerfile.vllm"
    try:
        subprocess.run([ROOT / "tests/stack/images/make"], check=True, timeout=900)
        docker("build", "-q", "-t", "glasshouse-test/vllm:cpu", "-f", str(dockerfile), str(ROOT), timeout=1500)
        stack.compose("build", "--quiet", timeout=600)
        stack.compose("up", "--detach")
        measured(f"vLLM in its container: ready {until(stack.is_ready, START_S, 'vLLM serves'):.0f} s after `up`, cold")
        yield stack
    finally:
        stack.down()


def ask(stack: Stack) -> str:
    """The demo model's longest answer."""
    body = {
        "model": "glasshouse-demo",
        "messages": [{"role": "user", "content": longest("en").text}],
        "temperature": 0,
        "max_tokens": 400,
    }
    with stack.client(timeout=120) as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == httpx.codes.OK, answer.text
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def test_it_answers_word_for_word(stack: Stack) -> None:
    assert ask(stack) == longest("en").answer


def test_the_container_is_healthy_and_confined(stack: Stack) -> None:
    def container() -> dict[str, Any]:
        (row,) = [row for row in stack.containers() if row["Service"] == "vllm"]
        return row

    until(lambda: container()["Health"] == "healthy", 60, "healthy")
    assert container()["Inspected"]["HostConfig"]["ReadonlyRootfs"]
    users = docker("top", container()["ID"], "-eo", "pid,uid,args").splitlines()[1:]
    assert all(line.split()[1] == "10001" for line in users), users


def test_prometheus_reads_engine_and_launcher(stack: Stack) -> None:
    until(lambda: stack.value('min(up{job=~"vllm|vllm-launcher"})') == 1, 60, "both are up")
    assert stack.value('sum(vllm:generation_tokens_total{job="vllm"})') > 0


def test_a_second_start_uses_the_compiled_graphs(stack: Stack, measured: Callable[[str], None]) -> None:
    stack.compose("stop", "vllm", timeout=120)
    began = time.monotonic()
    stack.compose("start", "vllm")
    until(lambda: not stack.is_ready(), 60, "the front door knows that it is gone")
    until(stack.is_ready, START_S, "vLLM serves again")
    measured(f"vLLM in its container: ready {time.monotonic() - began:.0f} s after `start`, warm")
    assert ask(stack) == longest("en").answer
