"""The native stack as a person drives it: the real `make`, the real programs, ports and directories of its own."""

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
from tests.support.native import Place, needs_curl, needs_nginx, needs_prometheus, wait_for
from tests.support.program import HOST, ROOT, free_port, until
from tests.support.readme import SdkExample

from glasshouse.secrets import certificate

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, str]]:
    """A stack with everything that this machine has, and what its start said."""
    place = Place.make_one(tmp_path_factory.mktemp("stack"))
    done = place.make("up")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield place, done.stdout
    finally:
        ended = place.make("down")
    assert ended.returncode == 0, ended.stderr
    assert "no process is left" in ended.stdout
    assert place.traces() == []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place for a small stack: nothing but the gateway and llama.cpp."""
    one = Place.make_one(tmp_path, NGINX="off", PROMETHEUS="off")
    yield one
    one.make("down")
    assert one.traces() == []


def test_the_start_says_what_it_chose_and_why_and_no_secret(running: tuple[Place, str]) -> None:
    place, said = running
    assert re.search(r"shape +native +\(SHAPE=native\)", said)
    assert re.search(r"engine +llama\.cpp on CPU with .* \(.*\n +endpoint +\S.*\n +metrics +\S", said)
    for name in ("api-key", "engine/engine-key"):
        assert (place.directory / "secrets" / name).read_text().strip() not in said


@needs_curl
def test_the_printed_curl_works_as_pasted(running: tuple[Place, str]) -> None:
    place, said = running
    pasted = re.search(r"^  curl(?:.*\\\n)+.*$", said, re.MULTILINE)
    assert pasted is not None
    assert " -k" not in pasted[0]
    answer = json.loads(place.shell(pasted[0]).stdout)
    assert answer["choices"][0]["message"]["content"].strip()


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_example_for_the_sdk_works_as_pasted(running: tuple[Place, str], readme: str) -> None:
    place, said = running
    printed = re.search(r"^  (export OPENAI_BASE_URL=.*)$", said, re.MULTILINE)
    assert printed is not None
    assert SdkExample.of(readme).run(place.directory, printed[1]).strip()


@needs_nginx
def test_a_certificate_near_its_end_is_renewed_while_the_stack_runs(running: tuple[Place, str]) -> None:
    place, _ = running
    tls = place.directory / "secrets" / "tls"
    key = (tls / "key.pem").read_text()
    ending = certificate.make(now=datetime.now(UTC) - timedelta(days=195), key=key).certificate
    (tls / "cert.pem").write_text(ending)

    def shown() -> str:
        return ssl.get_server_certificate((HOST, int(place.variables["HTTPS_PORT"])), timeout=5).strip()

    until(lambda: shown() == ending.strip(), 15, "nginx has taken the one that ends soon", pause=0.2)
    os.kill(place.pid_of("certificate"), signal.SIGTERM)  # it looks when it starts, and twice a day
    until(lambda: shown() != ending.strip(), 40, "nginx has taken a new one", pause=0.2)
    assert (tls / "key.pem").read_text() == key
    assert certificate.renewal_reason(shown(), key) is None
    assert place.make("smoke").returncode == 0
    assert "the old one was about to expire" in place.make("logs", "SERVICE=certificate").stdout


def test_a_second_start_says_so_and_changes_nothing(running: tuple[Place, str]) -> None:
    place, said = running
    before = place.pid_of("gateway")
    again = place.make("up")
    assert again.returncode == 0
    assert "running already" in again.stdout
    told, _, shape = again.stdout.partition("\n\n")[2].rpartition("\n\n")
    assert said[said.index("  API") :] == f"{told}\n\nShape: native (SHAPE=native).\n"
    assert shape == "Shape: native (as it was running already).\n"
    assert place.pid_of("gateway") == before


def test_smoke_shows_answers_and_figures_and_logs_what_was_said(running: tuple[Place, str]) -> None:
    place, _ = running
    done = place.make("smoke")
    assert done.returncode == 0, done.stderr
    assert re.search(r"streamed .*\n +\S.*\n(?:.*\n)*? +\[\d+ tokens in \d+ pieces?, TTFT \d+ ms", done.stdout)
    assert re.search(r"plain .*\n +\S.*\n(?:.*\n)*? +\[\d+ tokens in \d+ ms, \d+ tokens/s\]", done.stdout)
    assert re.search(r"^gateway +\| ", place.make("logs").stdout, re.MULTILINE)
    only = place.make("logs", "SERVICE=llamacpp").stdout
    assert {line.split()[0] for line in only.splitlines()} == {"llamacpp"}


def test_a_new_key_works_and_a_revoked_one_stops_within_five_seconds(running: tuple[Place, str]) -> None:
    place, _ = running
    made = place.make("key", "NAME=alice")
    assert re.fullmatch(r"sk-[\w-]+\n", made.stdout)
    until(lambda: place.status_for(made.stdout) == 200, 5, "the new key works")
    assert place.make("key", "NAME=alice", "REVOKE=1").returncode == 0
    until(lambda: place.status_for(made.stdout) == 401, 5, "the revoked key is refused")
    assert "revoked" in place.make("key").stdout


@needs_curl
@needs_nginx
def test_nginx_refuses_in_openais_shape_and_hides_the_metrics(running: tuple[Place, str], tmp_path: Path) -> None:
    place, _ = running
    https = f"https://{HOST}:{place.variables['HTTPS_PORT']}"
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
        got, text = place.curl(words, f"-i --http1.1 --cacert {place.directory / 'secrets' / 'tls' / 'cert.pem'}")
        head, _, body = text.replace("\r", "").rpartition("\n\n")
        assert got == status, text
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        assert len(re.findall(r"^x-request-id: \S+$", head, re.MULTILINE | re.IGNORECASE)) == 1


@needs_prometheus
def test_prometheus_reads_every_part(running: tuple[Place, str]) -> None:
    place, _ = running
    url = f"http://{HOST}:{place.variables['PROMETHEUS_PORT']}/api/v1/targets?state=active"

    def health() -> dict[str, str]:
        answer = httpx.get(url, trust_env=False).json()
        return {target["labels"]["job"]: target["health"] for target in answer["data"]["activeTargets"]}

    wanted = dict.fromkeys(("gateway", "llamacpp", "llamacpp-launcher", "prometheus"), "up")
    until(lambda: health() == wanted, 30, "all targets are up", pause=0.5)


@pytest.mark.parametrize("program", ["gateway", "llamacpp", pytest.param("nginx", marks=needs_nginx)])
def test_a_killed_program_comes_back(running: tuple[Place, str], program: str) -> None:
    place, _ = running
    before = place.pid_of(program)
    os.kill(before, signal.SIGKILL)
    until(lambda: place.pid_of(program) not in (0, before), 30, f"{program} is started again", pause=0.2)
    until(lambda: place.make("smoke").returncode == 0, 40, "it answers again", pause=0.5)


def test_without_nginx_and_prometheus_it_is_plain_http(place: Place) -> None:
    done = place.make("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"http://127.0.0.1:{place.port}/v1" in done.stdout
    assert "https" not in done.stdout
    assert place.make("smoke").returncode == 0
    ended = place.make("down")
    assert "no process is left" in ended.stdout
    again = place.make("down")
    assert (again.returncode, again.stdout) == (0, "Glasshouse is not running; nothing to end.\n")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_an_interrupted_start_leaves_nothing(place: Place, number: str) -> None:
    with place.start(ENGINES=f"none=http://{HOST}:{free_port()}") as up:
        wait_for("waiting for", up)
        up.send_signal(signal.Signals[number])
        said = up.communicate(timeout=60)[0]
    if number != "SIGKILL":
        assert up.returncode == 130
        assert "no process is left" in said
        assert place.traces() == []
    until(lambda: place.traces() == [], 40, "everything has ended", pause=0.2)


def test_down_ends_what_a_killed_supervisor_left(place: Place) -> None:
    assert place.make("up").returncode == 0
    os.kill(json.loads((place.directory / "run" / "state.json").read_text())["pid"], signal.SIGKILL)
    assert len(place.traces()) > 1
    done = place.make("down")
    assert "no process is left" in done.stdout
    assert place.traces() == []


def test_a_taken_port_is_named_and_nothing_is_started(place: Place) -> None:
    with socket.create_server((HOST, place.port)):
        done = place.make("up")
    assert done.returncode != 0
    assert f"Port {place.port} (gateway) is taken by process {os.getpid()} (" in done.stderr
    assert "make up GATEWAY_PORT=" in done.stderr
    assert place.traces() == []


@pytest.mark.parametrize(
    ("variables", "said"),
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
def test_a_wrong_variable_ends_the_start_with_its_name(place: Place, variables: dict[str, str], said: str) -> None:
    done = place.make("up", **variables)
    assert done.returncode != 0
    assert said in done.stderr
    assert place.traces() == []


def test_a_wrong_keys_file_ends_the_start_and_a_missing_one_is_made(place: Place) -> None:
    assert place.shell(f"{ROOT}/.venv/bin/glasshouse init").returncode == 0
    table = place.directory / "secrets" / "gateway" / "keys.yaml"
    good = table.read_text()
    table.write_text(good.replace("role: admin", "role: king"))
    done = place.make("up")
    assert done.returncode != 0
    assert "keys.yaml" in done.stderr
    assert "role" in done.stderr
    table.unlink()
    assert place.make("up").returncode == 0
    assert place.make("smoke").returncode == 0


def test_attached_it_shows_the_logs_and_ctrl_c_ends_everything(place: Place) -> None:
    with place.start("--attach") as up:
        wait_for("The logs follow", up)
        assert place.status_for((place.directory / "secrets" / "api-key").read_text()) == 200
        up.send_signal(signal.SIGINT)
        assert "no process is left" in up.communicate(timeout=60)[0]
