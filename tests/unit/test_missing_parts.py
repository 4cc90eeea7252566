"""What `make test` says is missing, and what it leaves out for that: on machines that have this and lack that."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "missing-parts"
OWN = ("bash", "dirname", "grep", "cut", "id")  # what the script itself runs


def _listed() -> list[str]:
    done = subprocess.run([SCRIPT, "--packages"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def _machine(tmp_path: Path, programs: dict[str, str], own: tuple[str, ...]) -> Path:
    """A directory for PATH with these programs (name and text) and this machine's `own`."""
    place = tmp_path / "bin"
    place.mkdir()
    for name in own:
        (place / name).symlink_to(next(path for path in _paths(name) if path.exists()))
    for name, text in programs.items():
        (place / name).unlink(missing_ok=True)
        (place / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / name).chmod(0o755)
    return place


def _say(tmp_path: Path, programs: dict[str, str], list_text: str | None = None) -> tuple[str, str]:
    """Pytest's expression and what is said on a machine with these programs and the script's own."""
    place = _machine(tmp_path, programs, OWN)
    script = tmp_path / "missing-parts"
    script.write_text(SCRIPT.read_text())
    (tmp_path / "packages.txt").write_text(list_text or (ROOT / "tests" / "packages.txt").read_text())
    command = [str(place / "bash"), str(script)]
    done = subprocess.run(command, env={"PATH": str(place)}, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr


def _paths(name: str) -> list[Path]:
    return [Path(directory) / name for directory in os.environ["PATH"].split(os.pathsep)]


LIST = """# a comment

ghost   /nowhere/*/ghost.so  tests of ghosts
bakery  bake                 tests of bread and cake
etc     /etc/*               likewise
"""
ROOT_HAS = {"id": "echo 0", "debootstrap": "", "docker": ""}


def test_what_is_missing_is_one_line_of_apt_and_each_package_says_what_for(tmp_path: Path) -> None:
    marks, message = _say(tmp_path, ROOT_HAS, LIST)
    assert marks == "not gpu and not grafana"
    assert message.splitlines() == [
        "not run here: tests of ghosts (no ghost)",
        "not run here: tests of bread and cake (no bakery)",
        "not run here: tests that need an NVIDIA GPU",
        "What is missing: apt-get install -y --no-install-recommends ghost bakery",
    ]


def test_a_machine_that_has_all_is_told_of_the_gpu_alone(tmp_path: Path) -> None:
    _, message = _say(tmp_path, ROOT_HAS | {"bake": ""}, LIST.replace("/nowhere/*/ghost.so", "/etc/*"))
    assert message == "not run here: tests that need an NVIDIA GPU\n"


@pytest.mark.parametrize(
    "machine",
    [
        ROOT_HAS | {"id": "echo 1000"},
        {"id": "echo 0", "docker": ""},
        {"id": "echo 0", "debootstrap": ""},
        ROOT_HAS | {"docker": '[ "$1" != info ]'},
        ROOT_HAS | {"docker": '[ "$1" != compose ]'},
    ],
    ids=["no root", "no debootstrap", "no Docker", "no daemon", "no Compose"],
)
def test_the_composed_stack_needs_all_of_it(tmp_path: Path, machine: dict[str, str]) -> None:
    marks, message = _say(tmp_path, machine, LIST)
    assert marks == "not gpu and not grafana and not docker"
    assert "not run here: tests of the composed stack (they need root, " in message
    assert ("only root" in message) == (machine["id"] == "echo 1000")


def test_on_a_bare_machine_the_line_names_every_package(tmp_path: Path) -> None:
    """All but those that are found by a file, which this machine has."""
    _, message = _say(tmp_path, {})
    line = message.splitlines()[-1]
    assert {"make", "curl", "openssl", "prometheus", "gcc", "docker.io"} <= set(line.split())


@pytest.mark.parametrize(("known", "line"), [("true", "ghost"), ("false", "")])
def test_a_package_that_this_release_does_not_have_is_not_asked_for(tmp_path: Path, known: str, line: str) -> None:
    has = {**ROOT_HAS, "apt-cache": f'[ "$*" = "show ghost" ] && {known}'}
    _, message = _say(tmp_path, has, "ghost?  /nowhere/ghost  tests of ghosts\n")
    assert message.splitlines()[-1].endswith(f"--no-install-recommends {line}" if line else "an NVIDIA GPU")


def test_every_package_says_how_it_is_found_and_what_for() -> None:
    lines = [line for line in (ROOT / "tests/packages.txt").read_text().splitlines() if line and line[0] != "#"]
    sure = [line.split()[0] for line in lines if "?" not in line.split()[0]]
    assert [package for package in _listed() if package in sure] == sure
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (
            {"id": "echo 1000"},
            "make test-bare makes whole Debian systems, which only root can: put sudo before the command.",
        ),
        ({"id": "echo 0", "git": "", "unshare": ""}, "make test-bare needs: apt-get install -y debootstrap iproute2"),
        (
            {"id": "echo 0", "debootstrap": "", "ip": "", "git": "", "unshare": "exit 1"},
            "make test-bare needs the right to make namespaces, which this container does not give.",
        ),
    ],
)
def test_bare_machines_are_refused_in_one_sentence(tmp_path: Path, machine: dict[str, str], sentence: str) -> None:
    place = _machine(tmp_path, machine | {"sed": ""}, ("bash", "dirname"))
    command = [str(place / "bash"), str(ROOT / "tests" / "bare" / "run")]
    done = subprocess.run(command, env={"PATH": str(place)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"{sentence}\n")
