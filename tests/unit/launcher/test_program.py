import os
import signal
import socket
import threading
import urllib.request

import pytest

from launcher import program
from launcher.errors import ConfigurationError, EngineError


class UnstartableEngine:
    """An engine that cannot be prepared, and stops the supervisor when it is asked to start."""

    drain_delay = stop_seconds = 0.0

    def __init__(self, status_port: int = 0) -> None:
        self._status_port = status_port
        self.pages: list[str] = []

    def model(self) -> str:
        return "demo"

    def input_fingerprint(self) -> int:
        return 0

    def prepare(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._status_port}/livez", timeout=5) as response:
            self.pages.append(response.read().decode())
        os.kill(os.getpid(), signal.SIGTERM)
        raise EngineError("The port is taken.")


def test_the_exit_code() -> None:
    assert program.run(lambda: None) == program.EXIT_OK


def test_a_configuration_error_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ConfigurationError("A=1 cannot be used.")

    assert program.run(fail) == program.EXIT_CONFIGURATION == 2
    assert capsys.readouterr().err == "A=1 cannot be used.\n"


def test_an_engine_is_supervised_behind_its_status_port() -> None:
    assert threading.current_thread() is threading.main_thread()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    engine = UnstartableEngine(port)
    program.supervise(engine, "127.0.0.1", port)  # type: ignore[arg-type]  # a fake that never gets as far as running

    assert engine.pages == ["ok\n"]


def test_a_status_port_in_use_is_a_configuration_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"^The status port 127\.0\.0\.1:{port} cannot be listened at"):
            program.supervise(UnstartableEngine(), "127.0.0.1", port)  # type: ignore[arg-type]  # likewise
