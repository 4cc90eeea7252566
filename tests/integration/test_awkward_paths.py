"""A whole native stack in directories whose names mean something to a shell, to supervisord, to nginx or in YAML."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.native import Place
from tests.support.program import ROOT

pytestmark = pytest.mark.timeout(240)

# What a shell takes apart, and what a format string or YAML would.
CHECKOUT = 'it\'s 100% "ours"; $HOME `id` # 키'
ELSEWHERE = "%(ENV_HOME)s %s %% {a: b} 'c' & d, $1 ~ \u00fc!"
_PARTS = ("services", "nginx", "prometheus", "config", "models")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A checkout of that name, with the virtual environment in it, and a stack of it."""
    directory = tmp_path_factory.mktemp("paths") / CHECKOUT
    directory.mkdir()
    for folder in _PARTS:
        shutil.copytree(ROOT / folder, directory / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "supervisord.conf", directory)
    (directory / ".venv").symlink_to(ROOT / ".venv")
    place = Place.make_one(directory)
    # Where they lie unless somebody says otherwise: below the checkout.
    del place.variables["RUN_DIR"], place.variables["SECRETS_DIR"]
    yield place
    command(place, "down")
    assert place.traces() == []


def command(place: Place, words: str) -> str:
    done = place.shell(f'cd "$WHERE" && .venv/bin/python -m glasshouse {words}', WHERE=str(place.directory))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_starts_answers_and_ends(place: Place) -> None:
    said = command(place, "up")
    pasted = said[said.index("  curl ") :].partition("\n\n")[0]
    answer = json.loads(place.shell(f'cd "$WHERE"\n{pasted}', WHERE=str(place.directory)).stdout)
    assert answer["choices"][0]["message"]["content"].strip()
    command(place, "smoke")
    assert "gateway" in command(place, "ps")
    assert command(place, "logs gateway").strip()
    assert {path.name for path in (place.directory / ".run" / "logs").glob("*.log")} >= {"gateway.log", "llamacpp.log"}
    rules = f"http://127.0.0.1:{place.variables['PROMETHEUS_PORT']}/api/v1/rules"
    if shutil.which("prometheus"):
        assert json.loads(place.curl(rules)[1])["data"]["groups"], "Prometheus found its rules"
    assert "no process is left" in command(place, "down")


def test_paths_may_lie_elsewhere(place: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / ELSEWHERE
    variables = {"RUN_DIR": str(elsewhere / "run"), "SECRETS_DIR": str(elsewhere / "secrets")}
    moved = Place(elsewhere, {**place.variables, **variables, "WHERE": str(place.directory)})
    start = 'cd "$WHERE" && .venv/bin/python -m glasshouse'
    try:
        done = moved.shell(f"{start} up")
        assert done.returncode == 0, done.stdout + done.stderr
        assert moved.shell(f"{start} smoke").returncode == 0
    finally:
        ended = moved.shell(f"{start} down")
    assert "no process is left" in ended.stdout
    assert moved.traces() == []


def test_what_a_program_takes_for_a_pattern_is_refused(place: Place, tmp_path: Path) -> None:
    start = 'cd "$WHERE" && .venv/bin/python -m glasshouse up'
    done = place.shell(start, WHERE=str(place.directory), RUN_DIR=str(tmp_path / "[a]"))
    assert done.returncode == 2
    assert f"RUN_DIR='{tmp_path}/[a]' is not allowed: use a path without" in done.stderr
    assert place.traces() == []
