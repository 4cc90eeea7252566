"""A backup of a composed stack that serves, and what a stack that is started from it knows."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.stack.conftest import free_port
from tests.stack.parts.command import make, private
from tests.stack.parts.stack import Stack, docker
from tests.stack.test_faults import CHAT, Load, chat

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]


def test_a_backup_under_load_drops_nothing_and_a_stack_restored_from_it_has_keys_and_history(
    stack: Stack, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    file = tmp_path / "saved" / "backup.tar"
    made = stack.compose("run", "--rm", "init", "key", "add", "kept-by-a-backup")
    (key,) = [word for word in made.split() if word.startswith("sk-")]
    scraped = stack.value("max(timestamp(up))")
    served_by = {service: stack.container(service) for service in ("nginx", "api", "llamacpp")}
    with Load(stack, clients=2) as load:
        began = time.monotonic()
        done = make(stack, "backup", f"FILE={file}")
        took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert not load.failures()
    measured(f"backup under load: {took:.1f} s, {len(load.answers)} requests, dropped {len(load.failures())}")
    assert private(file)
    assert private(file.parent)
    assert {service: stack.container(service) for service in served_by} == served_by
    (prometheus,) = [row for row in stack.containers() if row["Service"] == "prometheus"]
    assert prometheus["State"] == "running"
    refused = make(stack, "restore", f"FILE={file}")
    assert refused.returncode != 0
    assert "is running; nothing has been changed" in refused.stderr

    other = Stack(f"{stack.name}-restored", tmp_path / "other", free_port(), free_port())
    other.directory.mkdir()
    try:
        done = make(other, "restore", f"FILE={file}")
        assert done.returncode == 0, done.stdout + done.stderr
        keys = "gateway/keys.yaml"
        assert (other.secrets / keys).read_bytes() == (stack.secrets / keys).read_bytes()
        assert (other.secrets / keys).stat().st_uid == 10001
        assert other.certificate.read_bytes() == stack.certificate.read_bytes()
        other.up()
        with other.client(key=key) as client:
            assert client.post(CHAT, json=chat(max_tokens=4)).status_code == 200
        assert other.query(f"up{{job='gateway'}} @ {scraped:.3f}"), "the samples from before the backup are there"
        assert not other.query(f"up @ {scraped - 7200:.3f}")
    finally:
        other.down()
    assert not docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={other.name}")
