"""Backup, restore and upgrade of a native stack that serves: the real `make`, the real programs."""

import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.compose.clone import Clone
from tests.support.native import NativeStack, needs_prometheus
from tests.support.program import HOST, until

pytestmark = [pytest.mark.xdist_group("native"), pytest.mark.timeout(240)]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[NativeStack]:
    stack = NativeStack.create(tmp_path, NGINX="off")
    yield stack
    stack.make("down")
    assert stack.leftovers() == []


def samples(stack: NativeStack, at: float | None = None) -> list[float]:
    """The timestamps of the gateway's `up` samples, now or at an earlier time."""
    query = urllib.parse.quote("timestamp(up{job='gateway'} == 1)", safe="")
    when = f"&time={at:.3f}" if at else ""
    body = stack.curl(f"'http://{HOST}:{stack.variables['PROMETHEUS_PORT']}/api/v1/query?query={query}{when}'")[1]
    return [float(sample["value"][1]) for sample in json.loads(body or '{"data": {"result": []}}')["data"]["result"]]


@needs_prometheus
def test_a_stack_restored_from_a_backup_has_the_keys_and_the_history(stack: NativeStack, tmp_path: Path) -> None:
    assert stack.make("up").returncode == 0
    key = (stack.directory / "secrets" / "api-key").read_text()
    until(lambda: bool(samples(stack)), 40, "Prometheus has seen the gateway", pause=0.5)
    (seen,) = samples(stack)
    gateway, prometheus = stack.pid_of("gateway"), stack.pid_of("prometheus")
    file = tmp_path / "backup.tar"
    done = stack.make("backup", f"FILE={file}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stack.pid_of("gateway") == gateway
    assert stack.pid_of("prometheus") not in (0, prometheus), "Prometheus was stopped, and started again"
    refused = stack.make("restore", f"FILE={file}")
    assert refused.returncode != 0
    assert "is running; nothing has been changed" in refused.stderr
    assert stack.make("down").returncode == 0

    for name in ("run", "secrets"):
        (tmp_path / name).rename(tmp_path / f"{name}-lost")
    done = stack.make("restore", f"FILE={file}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stack.make("up").returncode == 0
    assert stack.status_for(key) == 200
    until(lambda: samples(stack, seen) == [seen], 40, "the samples from before the backup", pause=0.5)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_an_upgrade_that_does_not_start_is_rolled_back_natively(stack: NativeStack, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    broken = "raise RuntimeError('broken on purpose')\n"
    clone.version("v0.2.0", ("services/api/gunicorn.conf.py", "import os\n", f"import os\n\n{broken}"))
    clone.git("switch", "--quiet", "--detach", "v0.1.0")

    def make(target: str) -> subprocess.CompletedProcess[str]:
        variables = {**stack.variables, "PROMETHEUS": "off", "START_TIMEOUT": "60"}
        return subprocess.run(
            ["make", target], cwd=clone.root, env=variables, capture_output=True, text=True, timeout=200, check=False
        )

    try:
        done = make("up")
        assert done.returncode == 0, done.stdout + done.stderr
        key = (stack.directory / "secrets" / "api-key").read_text()
        done = make("upgrade")
        assert done.returncode != 0
        assert "broken on purpose" in done.stdout + done.stderr
        assert "The upgrade to v0.2.0 failed. v0.1.0 is back, and serves" in done.stderr
        assert clone.git("describe", "--tags") == "v0.1.0"
        assert stack.status_for(key) == 200
    finally:
        assert "no process is left" in make("down").stdout
