import http.server
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from launcher.errors import ConfigurationError, EngineError
from vllm_launcher.launch import Vllm
from vllm_launcher.options import Options
from vllm_launcher.settings import Settings

FAKE = Path(__file__).parent / "fake"


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
        return found


@pytest.fixture
def engine(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Vllm:
    for name in os.environ:
        if name.startswith(("VLLM_", "ENGINE_KEY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    (tmp_path / "key").write_text("sekret\n")
    monkeypatch.setenv("ENGINE_KEY_FILE", str(tmp_path / "key"))
    options: Options = {"model": ("owner/name",), "port": (str(port),), "shutdown-timeout": ("10",)}
    return Vllm(Settings.from_options({"python": sys.executable}), {"PATH": os.environ["PATH"]}, options)


def test_the_command_serves_the_model_with_the_key_in_its_environment(engine: Vllm) -> None:
    command = engine.prepare()

    assert command.argv[:5] == (sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", "owner/name")
    assert command.env["VLLM_API_KEY"] == "sekret"
    assert "sekret" not in command.argv
    assert command.death_signal == signal.SIGTERM


def test_a_stop_may_take_the_delay_the_timeout_and_the_teardown(engine: Vllm) -> None:
    assert engine.stop_seconds == engine.drain_delay + 10 + 20


def test_a_port_in_use_is_a_failure(engine: Vllm, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), pytest.raises(EngineError, match=f"VLLM_PORT={port} "):
        engine.prepare()


def test_a_changed_key_is_noticed(engine: Vllm, tmp_path: Path) -> None:
    before = engine.input_fingerprint()
    (tmp_path / "key").write_text("another\n")

    assert engine.input_fingerprint() != before


def test_log_lines_are_printed_without_keys_and_name_phases(engine: Vllm, capsys: pytest.CaptureFixture[str]) -> None:
    engine.prepare()

    assert engine.handle_log_line("non-default args: {'api_key': 'sekret'}") == "reading_configuration"
    assert capsys.readouterr().out == "non-default args: {'api_key': '(a key)'}\n"


def test_the_log_explains_an_exit(engine: Vllm) -> None:
    engine.handle_log_line("RuntimeError: no GPU")
    assert engine.explain_exit(1) == "RuntimeError: no GPU"


def test_without_an_error_in_the_log_the_signal_explains_it(engine: Vllm) -> None:
    assert "memory runs out" in engine.explain_exit(-signal.SIGKILL)


def test_an_engine_that_is_not_running_is_not_ready(engine: Vllm) -> None:
    assert not engine.is_ready()


def test_an_empty_key_file_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").touch()
    monkeypatch.setenv("ENGINE_KEY_FILE", str(tmp_path / "empty"))
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    with pytest.raises(ConfigurationError, match="exactly one key"):
        Vllm(Settings.from_options({"python": sys.executable}), {}, {"model": ("owner/name",)})


def test_limits_that_no_option_sets_are_unknown(engine: Vllm) -> None:
    assert engine.capacity() == {}


@pytest.mark.parametrize(
    ("body", "version"), [(b'{"version":"0.32.0"}', "0.32.0"), (b"not JSON", ""), (b'{"version": null}', "")]
)
def test_the_version_is_what_vllm_answers(engine: Vllm, port: int, body: bytes, version: str) -> None:
    server = http.server.HTTPServer(("127.0.0.1", port), _answering(body))
    threading.Thread(target=server.handle_request, daemon=True).start()
    assert engine.version() == version
    server.server_close()


def test_a_vllm_that_does_not_answer_has_no_version(engine: Vllm) -> None:
    assert engine.version() == ""


def _answering(body: bytes) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/version" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the signature is the library's
            pass

    return Handler
