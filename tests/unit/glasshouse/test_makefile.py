"""What is given to make arrives as it was given: it is part of no syntax, neither make's nor a shell's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
AWKWARD = [
    "it's", 'say "hi"', "$HOME", "$(shell touch pwned)", "`touch pwned`", "$(touch pwned)", "a;touch pwned", "a # b",
    "back\\slash", "100%", "*", "~", "-x", "two  spaces ", "키",
]  # fmt: skip
_TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"


def reported(
    directory: Path, target: str, *given: str, environment: dict[str, str] | None = None
) -> tuple[list[str], dict[str, str]]:
    """The arguments and the environment of the command that a target runs."""
    script = directory / "tell"
    script.write_text(f"#!{sys.executable}\n{_TELL}\n")
    script.chmod(0o755)
    done = subprocess.run(
        ("make", "-f", REPOSITORY / "Makefile", "-o", ".venv/.installed", target, f"COMMAND={script}", *given),
        cwd=directory, env={"PATH": os.environ["PATH"], **(environment or {})},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (directory / "pwned").exists()
    arguments, variables = json.loads(done.stdout)
    return arguments, variables


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """With what make looks at before it runs anything."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


@pytest.mark.parametrize("value", AWKWARD)
def test_a_name_is_an_argument(checkout: Path, value: str) -> None:
    assert reported(checkout, "key", f"NAME={value}")[0] == ["key", "add", "--", value]
    assert reported(checkout, "key", f"NAME={value}", "REVOKE=1")[0] == ["key", "revoke", "--", value]


@pytest.mark.parametrize("value", AWKWARD)
def test_addresses_and_files_are_arguments(checkout: Path, value: str) -> None:
    wanted = ["smoke", "--url", value, "--key-file", value, "--ca-file", value]
    given = {"URL": value, "KEY_FILE": value, "CA_FILE": value}
    assert reported(checkout, "smoke", *(f"{name}={text}" for name, text in given.items()))[0] == wanted
    assert reported(checkout, "smoke", environment=given)[0] == wanted


@pytest.mark.parametrize("value", AWKWARD)
def test_the_report_of_a_drill_is_an_argument(checkout: Path, value: str) -> None:
    assert reported(checkout, "drill", f"REPORT={value}")[0] == ["drill", "--report", value]


def test_a_drill_takes_names_of_faults_and_flags(checkout: Path) -> None:
    assert reported(checkout, "drill")[0] == ["drill"]
    assert reported(checkout, "drill", "ONLY=gpu host", "YES=1")[0] == [
        "drill",
        "--yes",
        "--only",
        "gpu",
        "--only",
        "host",
    ]
    assert reported(checkout, "drill", "LIST=1")[0] == ["drill", "--list"]
    assert reported(checkout, "drill", "UNDO=1")[0] == ["drill", "--undo"]


@pytest.mark.parametrize("value", AWKWARD)
def test_backups_and_versions_are_arguments(checkout: Path, value: str) -> None:
    assert reported(checkout, "backup", f"FILE={value}")[0] == ["backup", "--file", value]
    assert reported(checkout, "restore", f"FILE={value}", "FORCE=1")[0] == ["restore", "--force", "--", value]
    wanted = ["upgrade", "--to", value, "--key-file", value]
    assert reported(checkout, "upgrade", f"VERSION={value}", f"KEY_FILE={value}")[0] == wanted


@pytest.mark.parametrize("value", AWKWARD)
def test_a_setting_reaches_the_programs(checkout: Path, value: str) -> None:
    assert reported(checkout, "up", f"RUN_DIR={value}")[1]["RUN_DIR"] == value
    assert reported(checkout, "up", environment={"RUN_DIR": value})[1]["RUN_DIR"] == value


def test_models_are_split_at_spaces_and_nowhere_else(checkout: Path) -> None:
    arguments, _ = reported(
        checkout, "key", "NAME=a", 'MODELS=one * it\'s "two" $HOME', "ROLE=it's", "EXPIRES=2027-01-31", "ROTATE=1"
    )
    models = [word for name in ("one", "*", "it's", '"two"', "$HOME") for word in ("--model", name)]
    assert arguments == ["key", "add", "--role", "it's", "--expires", "2027-01-31", *models, "--rotate", "--", "a"]


@pytest.mark.parametrize("value", ["it's", "$(touch pwned)"])
def test_a_service_is_an_argument(checkout: Path, value: str) -> None:
    assert reported(checkout, "logs", f"SERVICE={value}", "FOLLOW=1")[0] == ["logs", "--follow", "--", value]
