"""The native stack as a person operates it: the real `make`, the real programs, ports and directories of its own."""

import json
import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.support.native import NativeStack, needs_curl, needs_nginx, needs_prometheus, wait_for_output
from tests.support.program import HOST, ROOT, free_port, until
from tests.support.readme import SdkExample

from glasshouse.secrets import certificate

pytestmark = [pytest.mark.xdist_group("native"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NativeStack, str]]:
    """A stack with every program that this machine has, and the output of its start."""
    stack = NativeStack.create(tmp_path_factory.mktemp("stack"))
    done = stack.make("up")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield stack, done.stdout
    finally:
        ended = stack.make("down")
    assert ended.returncode == 0, ended.stderr
    assert "no process is left" in ended.stdout
    assert stack.leftovers() == []


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[NativeStack]:
    """A small stack, not yet started: only the gateway and llama.cpp."""
    stack = NativeStack.create(tmp_path, NGINX="off", PROMETHEUS="off")
    yield stack
    stack.make("down")
    assert stack.leftovers() == []


def test_the_start_prints_its_choices_with_reasons_and_no_secret(running: tuple[NativeStack, str]) -> None:
    stack, output = running
    assert re.search(r"shape +native +\(SHAPE=native\)", output)
    assert re.search(r"engine +llama\.cpp on CPU with .* \(.*\n +endpoint +\S.*\n +metrics +\S", output)
    for name in ("api-key", "engine/engine-key"):
        assert (stack.directory / "secrets" / name).read_text().strip() not in output


@needs_curl
def test_the_printed_curl_works_as_pasted(running: tuple[NativeStack, str]) -> None:
    stack, output = running
    pasted = re.search(r"^  curl(?:.*\\\n)+.*$", output, re.MULTILINE)
    assert pasted is not None
    assert " -k" not in pasted[0]
    answer = json.loads(stack.shell(pasted[0]).stdout)
    assert answer["choices"][0]["message"]["content"].strip()


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_example_for_the_sdk_works_as_pasted(running: tuple[NativeStack, str], readme: str) -> None:
    stack, output = running
    printed = re.search(r"^  (export OPENAI_BASE_URL=.*)$", output, re.MULTILINE)
    assert printed is not None
    assert SdkExample.of(readme).run(stack.directory, printed[1]).strip()


@needs_nginx
def test_a_certificate_near_its_end_is_renewed_while_the_stack_runs(running: tuple[NativeStack, str]) -> None:
    stack, _ = running
    tls = stack.directory / "secrets" / "tls"
    key = (tls / "key.pem").read_text()
    ending = certificate.make(now=datetime.now(UTC) - timedelta(days=195), key=key).certificate
    (tls / "cert.pem").write_text(ending)

    def shown() -> str:
        return ssl.get_server_certificate((HOST, int(stack.variables["HTTPS_PORT"])), timeout=5).strip()

    until(lambda: shown() == ending.strip(), 15, "nginx has taken the one that ends soon", pause=0.2)
    os.kill(stack.pid_of("certificate"), signal.SIGTERM)  # it checks when it starts, and twice a day
    until(lambda: shown() != ending.strip(), 40, "nginx has taken a new one", pause=0.2)
    assert (tls / "key.pem").read_text() == key
    assert certificate.renewal_reason(shown(), key) is None
    assert stack.make("smoke").returncode == 0
    assert "the old one was about to expire" in stack.make("logs", "SERVICE=certificate").stdout


def test_a_second_start_reports_the_running_stack_and_changes_nothing(running: tuple[NativeStack, str]) -> None:
    stack, output = running
    before = stack.pid_of("gateway")
    again = stack.make("up")
    assert again.returncode == 0
    assert "running already" in again.stdout
    summary, _, shape = again.stdout.partition("\n\n")[2].rpartition("\n\n")
    assert output[output.index("  API") :] == f"{summary}\n\nShape: native (SHAPE=native).\n"
    assert shape == "Shape: native (as it was running already).\n"
    assert stack.pid_of("gateway") == before


def test_smoke_prints_answers_and_figures_and_logs_prints_the_logs(running: tuple[NativeStack, str]) -> None:
    stack, _ = running
    done = stack.make("smoke")
    assert done.returncode == 0, done.stderr
    assert re.search(r"streamed .*\n +\S.*\n(?:.*\n)*? +\[\d+ tokens in \d+ pieces?, TTFT \d+ ms", done.stdout)
    assert re.search(r"plain .*\n +\S.*\n(?:.*\n)*? +\[\d+ tokens in \d+ ms, \d+ tokens/s\]", done.stdout)
    assert re.search(r"^gateway +\| ", stack.make("logs").stdout, re.MULTILINE)
    only = stack.make("logs", "SERVICE=llamacpp").stdout
    assert {line.split()[0] for line in only.splitlines()} == {"llamacpp"}


def test_a_new_key_works_and_a_revoked_one_stops_within_five_seconds(running: tuple[NativeStack, str]) -> None:
    stack, _ = running
    made = stack.make("key", "NAME=alice")
    assert re.fullmatch(r"sk-[\w-]+\n", made.stdout)
    until(lambda: stack.status_for(made.stdout) == 200, 5, "the new key works")
    assert stack.make("key", "NAME=alice", "REVOKE=1").returncode == 0
    until(lambda: stack.status_for(made.stdout) == 401, 5, "the revoked key is refused")
    assert "revoked" in stack.make("key").stdout


@needs_curl
@needs_nginx
def test_nginx_refuses_in_openais_shape_and_hides_the_metrics(running: tuple[NativeStack, str], tmp_path: Path) -> None:
    stack, _ = running
    https = f"https://{HOST}:{stack.variables['HTTPS_PORT']}"
    large = tmp_path / "large"
    large.write_bytes(bytes(11_000_000))
    refused = {
        f"{https}/metrics": 404,
        f"{https}/{'a' * 20_000}": 414,
        f"{https}/v1/chat/completions --data-binary @{large}": 413,
        f"{https}/livez -H 'a: {'b' * 40_000}'": 400,
        https.replace("https", "http"): 400,
    }
    for words, status in refused.items():
        got, text = stack.curl(words, f"-i --http1.1 --cacert {stack.directory / 'secrets' / 'tls' / 'cert.pem'}")
        head, _, body = text.replace("\r", "").rpartition("\n\n")
        assert got == status, text
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        assert len(re.findall(r"^x-request-id: \S+$", head, re.MULTILINE | re.IGNORECASE)) == 1


@needs_prometheus
def test_prometheus_scrapes_every_service(running: tuple[NativeStack, str]) -> None:
    stack, _ = running
    url = f"http://{HOST}:{stack.variables['PROMETHEUS_PORT']}/api/v1/targets?state=active"

    def health() -> dict[str, str]:
        answer = httpx.get(url, trust_env=False).json()
        return {target["labels"]["job"]: target["health"] for target in answer["data"]["activeTargets"]}

    wanted = dict.fromkeys(("gateway", "llamacpp", "llamacpp-launcher", "prometheus"), "up")
    until(lambda: health() == wanted, 30, "all targets are up", pause=0.5)


@pytest.mark.parametrize("program", ["gateway", "llamacpp", pytest.param("nginx", marks=needs_nginx)])
def test_a_killed_program_comes_back(running: tuple[NativeStack, str], program: str) -> None:
    stack, _ = running
    before = stack.pid_of(program)
    os.kill(before, signal.SIGKILL)
    until(lambda: stack.pid_of(program) not in (0, before), 30, f"{program} is started again", pause=0.2)
    until(lambda: stack.make("smoke").returncode == 0, 40, "it answers again", pause=0.5)


def test_without_nginx_and_prometheus_it_is_plain_http(stack: NativeStack) -> None:
    done = stack.make("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"http://127.0.0.1:{stack.port}/v1" in done.stdout
    assert "https" not in done.stdout
    assert stack.make("smoke").returncode == 0
    ended = stack.make("down")
    assert "no process is left" in ended.stdout
    again = stack.make("down")
    assert (again.returncode, again.stdout) == (0, "Glasshouse is not running; nothing to end.\n")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_an_interrupted_start_leaves_nothing(stack: NativeStack, number: str) -> None:
    with stack.start(ENGINES=f"none=http://{HOST}:{free_port()}") as up:
        wait_for_output("waiting for", up)
        up.send_signal(signal.Signals[number])
        output = up.communicate(timeout=60)[0]
    if number != "SIGKILL":
        assert up.returncode == 130
        assert "no process is left" in output
        assert stack.leftovers() == []
    until(lambda: stack.leftovers() == [], 40, "everything has ended", pause=0.2)


def test_down_ends_what_a_killed_supervisor_left(stack: NativeStack) -> None:
    assert stack.make("up").returncode == 0
    os.kill(json.loads((stack.directory / "run" / "state.json").read_text())["pid"], signal.SIGKILL)
    assert len(stack.leftovers()) > 1
    done = stack.make("down")
    assert "no process is left" in done.stdout
    assert stack.leftovers() == []


def test_a_taken_port_is_named_and_nothing_is_started(stack: NativeStack) -> None:
    with socket.create_server((HOST, stack.port)):
        done = stack.make("up")
    assert done.returncode != 0
    assert f"Port {stack.port} (gateway) is taken by process {os.getpid()} (" in done.stderr
    assert "make up GATEWAY_PORT=" in done.stderr
    assert stack.leftovers() == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"ENGINES": "nonsense"}, "ENGINES"),
        ({"LLAMACPP_MODEL": "/nowhere/model.gguf"}, "/nowhere/model.gguf"),
        ({"LLAMACPP_CTX": "x"}, "LLAMACPP_CTX"),
        ({"GATEWAY_PORT": "many"}, "GATEWAY_PORT='many' is not allowed: use a whole number from 1 to 65535."),
        ({"NGINX": "/nowhere/nginx"}, "NGINX='/nowhere/nginx' is no program here"),
        ({"START_TIMEOUT": "3", "ENGINES": f"none=http://{HOST}:9"}, "Not ready after 3 s (START_TIMEOUT)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_invalid_variable_ends_the_start_with_its_name(
    stack: NativeStack, variables: dict[str, str], message: str
) -> None:
    done = stack.make("up", **variables)
    assert done.returncode != 0
    assert message in done.stderr
    assert stack.leftovers() == []


def test_an_invalid_keys_file_ends_the_start_and_a_missing_one_is_created(stack: NativeStack) -> None:
    assert stack.shell(f"{ROOT}/.venv/bin/glasshouse init").returncode == 0
    table = stack.directory / "secrets" / "gateway" / "keys.yaml"
    good = table.read_text()
    table.write_text(good.replace("role: admin", "role: king"))
    done = stack.make("up")
    assert done.returncode != 0
    assert "keys.yaml" in done.stderr
    assert "role" in done.stderr
    table.unlink()
    assert stack.make("up").returncode == 0
    assert stack.make("smoke").returncode == 0


def test_attached_it_shows_the_logs_and_ctrl_c_ends_everything(stack: NativeStack) -> None:
    with stack.start("--attach") as up:
        wait_for_output("The logs follow", up)
        assert stack.status_for((stack.directory / "secrets" / "api-key").read_text()) == 200
        up.send_signal(signal.SIGINT)
        assert "no process is left" in up.communicate(timeout=60)[0]
