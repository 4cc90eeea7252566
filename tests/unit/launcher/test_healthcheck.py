import subprocess
import sys

from launcher.http_server import serve
from launcher.status import Status
from launcher.status_port import routes


def run(port: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "launcher.healthcheck", str(port)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout.strip()


def test_only_a_ready_engine_is_healthy_and_others_say_why() -> None:
    status = Status("demo")
    with serve(routes(status), "127.0.0.1", 0, name="The status port") as port:
        assert run(port) == (1, "The engine is starting (launching).")
        status.mark_ready({"slots": 4}, "1.0")
        assert run(port) == (0, "")
        status.mark_failed("Out of memory.", None)
        assert run(port) == (1, "The engine is failed (ready). Out of memory.")
    assert run(port) == (1, f"The launcher does not answer on port {port}.")
