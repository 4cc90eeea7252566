import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.unit.glasshouse.command_line import Run, runner
from tests.unit.glasshouse.conftest import FakeApi
from tests.unit.glasshouse.docker_plan import FakeDocker
from typer.core import TyperCommand, TyperGroup

from glasshouse import cli
from glasshouse.errors import ExitCode
from glasshouse.secrets import keys

DOCUMENTATION = Path(__file__).resolve().parents[3] / "docs" / "command-line.md"


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as a person runs it in `root`, with only the variables of the test."""
    return runner(root, monkeypatch, capsys)


def test_init_says_where_and_never_what(run: Run, root: Path) -> None:
    done = run("init")
    assert done.status == 0
    for name in ("secrets/api-key", "secrets/gateway/keys.yaml", "secrets/engine/engine-key", "secrets/tls/cert.pem"):
        assert name in done.out
    for name in ("api-key", "engine/engine-key", "engine/engine-key.next"):
        assert (root / "secrets" / name).read_text().strip() not in done.out + done.err
    assert "nothing to do" in run("init").out


def test_doctor_ends_with_the_status_of_what_it_found(run: Run) -> None:
    done = run("doctor", SHAPE="cpu")
    assert done.status == 1
    assert "FAILURE      shape       SHAPE=cpu cannot be had: Docker is not installed." in done.out


def test_a_certificate_is_made_for_a_name_that_is_set_and_left_alone_when_it_is_good(run: Run) -> None:
    run("init")
    assert "nothing to do" in run("certificate").out
    made = run("certificate", PUBLIC_ADDRESS="198.51.100.7")
    assert "secrets/tls/cert.pem  (the old one did not name 198.51.100.7" in made.out
    assert "nothing to do" in run("certificate", PUBLIC_ADDRESS="198.51.100.7").out
    wrong = run("certificate", PUBLIC_ADDRESS="https://198.51.100.7")
    assert (wrong.status, wrong.err.count("\n")) == (2, 1)
    assert "PUBLIC_ADDRESS='https://198.51.100.7' is not allowed" in wrong.err


def test_a_wrong_alert_setting_is_one_sentence(run: Run, tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[3] / "grafana"
    done = run("alerting", "--source", str(shipped), "--target", str(tmp_path), ALERTS_TO="pager")
    assert (done.status, done.out) == (2, "")
    assert done.err == "ALERTS_TO='pager' is not allowed: use discord, email, nobody, slack or webhook.\n"


def fields(command: str) -> set[str]:
    """The fields of a command's JSON, as the documentation has them."""
    for line in DOCUMENTATION.read_text(encoding="utf-8").splitlines():
        commands, _, text = line.strip("| ").partition(" | ")
        if f"`{command} --json`" in commands:
            return {name for name in re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", text)) if name != "null"}
    raise AssertionError(f"{command} is not documented")


def names(value: object) -> set[str]:
    """All names in a JSON value."""
    if isinstance(value, dict):
        return set(value).union(*map(names, value.values()))
    return set().union(*map(names, value)) if isinstance(value, list) else set()


def test_data_is_printed_as_json_with_the_documented_fields(run: Run, docker: FakeDocker, fake_api: FakeApi) -> None:
    def data(*arguments: str, **variables: str) -> Any:
        printed = json.loads(run(*arguments, "--json", **variables).out)
        command = " ".join(word for word in arguments[:2] if word.isalpha() and word != "alice")
        assert names(printed) == fields(command)
        return printed

    assert len(data("init")["created"]) == 4
    assert [entry["description"] for entry in data("certificate", PUBLIC_ADDRESS="h")["created"]] == [
        "the old one did not name h: a new one, self-signed, valid for 199 days"
    ]
    made = data("key", "add", "alice", "--expires", "2099-01-31")
    entry = {name: made[name] for name in made if name != "key"}
    assert entry == {
        "name": "alice", "role": "user", "state": "valid", "expires": "2099-01-31", "models": None,
        "sha256": keys.digest(made["key"]),
    }  # fmt: skip
    assert data("key", "list")["keys"][1] == entry
    assert data("key", "revoke", "alice") == {"name": "alice", "revoked": 1}
    assert run("doctor", "--json", SHAPE="cpu").status == 1
    assert data("doctor", SHAPE="cpu")["findings"][0]["level"] == "failure"
    port = int(fake_api.url.rsplit(":", 1)[1])
    docker.plan(containers=[docker.container("nginx", ports={80: port, 443: 29443}), docker.container("api", "exited")])
    shown = data("ps", PATH=docker.path)
    assert (shown["running"], shown["shape"], shown["url"]) == (True, "cpu", "https://localhost:29443/v1")
    assert [(service["name"], service["state"]) for service in shown["services"]] == [
        ("api", "off"),
        ("nginx", "running"),
    ]
    assert json.loads(run("ps", "--json").out) == {"running": False, "shape": None, "url": None, "services": []}


def test_smoke_prints_its_result_as_json(run: Run, fake_api: FakeApi, root: Path) -> None:
    usage = {"completion_tokens": 2}
    events = ({"choices": [{"delta": {"content": "It is."}}]}, {"choices": [], "usage": usage})
    fake_api.answers["/v1/models"] = (200, {"data": [{"id": "demo"}]})
    fake_api.answers["/v1/chat/completions#stream"] = (200, [*map(json.dumps, events), "[DONE]"])
    fake_api.answers["/v1/chat/completions"] = (
        200,
        {"choices": [{"message": {"content": "A house."}}], "usage": usage},
    )
    (root / "key").write_text("sk-x")
    done = run("smoke", "--url", fake_api.url, "--key-file", "key", "--json")
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert names(result) == fields("smoke")
    assert (result["streamed"]["text"], result["plain"]["text"], result["plain"]["pieces"]) == (
        "It is.",
        "A house.",
        None,
    )


def test_help_reads_as_one_tool(run: Run) -> None:
    shown = run("--help", COLUMNS="100").out
    panels = [line.strip("─╭╮ ") for line in shown.splitlines() if line.startswith("╭")]
    assert panels == ["Options", "Run", "Keys and secrets", "Maintain"]
    assert "Exit codes: 0 success; 1 failure" in shown
    assert "--install-completion" in shown
    assert "alerting" not in shown


def commands(group: TyperGroup) -> Iterator[TyperCommand]:
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            yield from commands(command)
        elif isinstance(command, TyperCommand):
            yield command


def test_every_command_and_option_is_described() -> None:
    group = typer.main.get_command(cli.app)
    assert isinstance(group, TyperGroup)
    found = list(commands(group))
    assert {"up", "list", "backup"} <= {command.name for command in found}
    for command in found:
        assert command.help, command.name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{command.name}: {parameter.name}"


def test_the_documented_exit_codes_are_those_that_there_are() -> None:
    rows = re.findall(r"^\| (\d+) \|", DOCUMENTATION.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(row) for row in rows] == [code.value for code in ExitCode]


def test_the_version_is_printed(run: Run) -> None:
    assert re.fullmatch(r"glasshouse \d+\.\d+\.\d+\n", run("--version").out)


def test_a_wrong_argument_is_misuse(run: Run) -> None:
    assert run("nosuch").status == ExitCode.MISUSE
    assert run("ps", "--nosuch").status == ExitCode.MISUSE


def test_a_shell_completes_commands(run: Run) -> None:
    done = run(_GLASSHOUSE_COMPLETE="complete_bash", COMP_WORDS="glasshouse rot", COMP_CWORD="1")
    assert done.out.split() == ["rotate-engine-key"]


@pytest.mark.parametrize("charset", ["ascii", "latin-1"])
def test_any_character_set_will_do(root: Path, charset: str) -> None:
    command = [sys.executable, "-m", "glasshouse", "key", "list"]
    environment = {"PATH": "/nowhere", "PYTHONIOENCODING": charset}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "make key NAME=\\u2026 creates more." in done.stdout


def test_a_new_key_is_all_that_standard_output_gets(run: Run, root: Path) -> None:
    done = run("key", "add", "alice", "--role", "admin", "--expires", "2099-01-31", "--model", "a", "--model", "b")
    assert re.fullmatch(r"sk-[\w-]{43}\n", done.out)
    assert done.out.strip() not in done.err
    (entry,) = keys.read(root / "secrets" / "gateway" / "keys.yaml")
    assert (entry.sha256, entry.models) == (keys.digest(done.out.strip()), ("a", "b"))

    listed = run("key", "list").out
    assert re.search(r"alice +admin +valid +2099-01-31 +a, b", listed)
    assert "1 key(s)" in run("key", "revoke", "alice").out
    assert re.search(r"alice +admin +revoked", run("key", "list").out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("key", "add", "Alice"), "'Alice' is not allowed"),
        (("key", "add", "alice", "--expires", "tomorrow"), "'tomorrow' is not allowed"),
        (("key", "add", "alice", "--expires", "2001-01-01"), "is past"),
        (("key", "add", "alice", "--rotate"), "There is no key named 'alice' to rotate"),
        (("key", "revoke", "alice"), "There is no key named 'alice'"),
        (("logs",), "no logs yet"),
        (("smoke",), "Start it: make up"),
        (("smoke", "--url", "http://127.0.0.1:1"), "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_status_1(run: Run, arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.status == 1
    assert message in done.err
    assert done.out == ""


def test_a_wrong_variable_and_a_wrong_file_are_sentences_too(run: Run, root: Path) -> None:
    assert "GATEWAY_PORT='x' is not allowed" in run("ps", GATEWAY_PORT="x").err
    (root / ".env").write_text("oops\n")
    assert ".env, line 1" in run("ps").err
