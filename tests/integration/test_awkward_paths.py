"""A whole native stack in directories whose names contain what a shell, supervisord, nginx or YAML would interpret."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.native import NativeStack
from tests.support.program import ROOT

pytestmark = [pytest.mark.xdist_group("native"), pytest.mark.timeout(240)]

# What a shell would split or expand, and what a format string or YAML would interpret.
CHECKOUT = 'it\'s 100% "ours"; $HOME `id` # 키'
ELSEWHERE = "%(ENV_HOME)s %s %% {a: b} 'c' & d, $1 ~ \u00fc!"
_PARTS = ("services", "nginx", "prometheus", "config", "models")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeStack]:
    """A checkout with such a name, with a virtual environment, and a stack of it."""
    directory = tmp_path_factory.mktemp("paths") / CHECKOUT
    directory.mkdir()
    for folder in _PARTS:
        shutil.copytree(ROOT / folder, directory / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "supervisord.conf", directory)
    (directory / ".venv").symlink_to(ROOT / ".venv")
    stack = NativeStack.create(directory)
    # Their default: below the checkout.
    del stack.variables["RUN_DIR"], stack.variables["SECRETS_DIR"]
    yield stack
    command(stack, "down")
    assert stack.leftovers() == []


def command(stack: NativeStack, words: str) -> str:
    done = stack.shell(f'cd "$WHERE" && .venv/bin/python -m glasshouse {words}', WHERE=str(stack.directory))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_starts_responds_and_stops(stack: NativeStack) -> None:
    output = command(stack, "up")
    pasted = output[output.index("  curl ") :].partition("\n\n")[0]
    answer = json.loads(stack.shell(f'cd "$WHERE"\n{pasted}', WHERE=str(stack.directory)).stdout)
    assert answer["choices"][0]["message"]["content"].strip()
    command(stack, "smoke")
    assert "gateway" in command(stack, "ps")
    assert command(stack, "logs gateway").strip()
    assert {path.name for path in (stack.directory / ".run" / "logs").glob("*.log")} >= {"gateway.log", "llamacpp.log"}
    rules = f"http://127.0.0.1:{stack.variables['PROMETHEUS_PORT']}/api/v1/rules"
    if shutil.which("prometheus"):
        assert json.loads(stack.curl(rules)[1])["data"]["groups"], "Prometheus found its rules"
    assert "no process is left" in command(stack, "down")


def test_paths_may_lie_elsewhere(stack: NativeStack, tmp_path: Path) -> None:
    elsewhere = tmp_path / ELSEWHERE
    variables = {"RUN_DIR": str(elsewhere / "run"), "SECRETS_DIR": str(elsewhere / "secrets")}
    moved = NativeStack(elsewhere, {**stack.variables, **variables, "WHERE": str(stack.directory)})
    start = 'cd "$WHERE" && .venv/bin/python -m glasshouse'
    try:
        done = moved.shell(f"{start} up")
        assert done.returncode == 0, done.stdout + done.stderr
        assert moved.shell(f"{start} smoke").returncode == 0
    finally:
        ended = moved.shell(f"{start} down")
    assert "no process is left" in ended.stdout
    assert moved.leftovers() == []


def test_a_path_that_a_program_would_read_as_a_pattern_is_refused(stack: NativeStack, tmp_path: Path) -> None:
    start = 'cd "$WHERE" && .venv/bin/python -m glasshouse up'
    done = stack.shell(start, WHERE=str(stack.directory), RUN_DIR=str(tmp_path / "[a]"))
    assert done.returncode == 2
    assert f"RUN_DIR='{tmp_path}/[a]' is not allowed: use a path without" in done.stderr
    assert stack.leftovers() == []
