"""A backup of a running composed stack, and a stack that is restored from it."""

import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.stack.conftest import free_port
from tests.support.compose.command import make, private
from tests.support.compose.load import CHAT, Load, chat
from tests.support.compose.stack import Stack, docker, until

from glasshouse.maintenance import backup, restore
from glasshouse.secrets import bootstrap
from glasshouse.settings import Settings, load

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

SMALL = """
services:
  init: {image: "glasshouse/init:test", environment: {GLASSHOUSE_UID: "10001", GLASSHOUSE_GID: "10001"}}
  valkey-jobs:
    image: glasshouse-test/debian:testing
    user: "0:0"
    command: [valkey-server, --dir, /data, --appendonly, "yes", --appendfsync, always]
    volumes: ["valkey-jobs-data:/data"]
  writer:
    image: glasshouse-test/debian:testing
    init: true
    command: [sh, -c, "while sleep 0.1; do date +%s.%N >>/data/lines; done"]
    volumes: ["written:/data", "model-cache:/models"]
volumes: {valkey-jobs-data: , written: , model-cache: }
"""


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


@dataclass
class Small:
    """A project with a store and a program that writes, small enough to start in a second."""

    settings: Settings
    name: str

    def compose(self, *words: str) -> str:
        return docker("compose", "--project-name", self.name, "--project-directory", str(self.settings.root), *words)

    def store(self, *words: str) -> str:
        return self.compose("exec", "-T", "valkey-jobs", "valkey-cli", *words).strip()


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that other users may enter too."""
    with TemporaryDirectory(prefix="glasshouse-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def small(stack: Stack, open_path: Path) -> Iterator[Callable[[str], Small]]:
    """Creates small projects, not yet started; they use the init image of the stack."""
    made: list[Small] = []

    def make_one(name: str) -> Small:
        root = open_path / name
        (root / "services").mkdir(parents=True)
        (root / "supervisord.conf").touch()
        (root / "compose.yaml").write_text(SMALL)
        project = f"{stack.name}-{name}"
        variables = {"COMPOSE_PROJECT_NAME": project, "COMPOSE_FILE": "compose.yaml", "SHAPE": "gpu"}
        # Docker's configuration of these tests is root's alone.
        usual = {name: value for name, value in stack.environment.items() if name != "DOCKER_CONFIG"}
        places = {"SECRETS_DIR": str(root / "secrets"), "HOME": str(open_path)}
        made.append(Small(load(root, {**usual, **variables, **places}), project))
        return made[-1]

    yield make_one
    for small_stack in made:
        small_stack.compose("down", "--volumes", "--timeout", "1")


def is_kept(path: Path) -> bool:
    return path.is_file() and not path.name.endswith("lock")


def test_an_ordinary_user_backs_up_another_users_secrets_and_a_running_store(
    small: Callable[[str], Small], open_path: Path
) -> None:
    stack = small("small")
    bootstrap.create_missing(stack.settings, docker=True)
    elsewhere = open_path / "elsewhere"
    (stack.settings.secrets_dir / "tls").rename(elsewhere)
    (stack.settings.secrets_dir / "tls").symlink_to(elsewhere)
    secrets = {path.name: path.read_bytes() for path in stack.settings.secrets_dir.rglob("*.*") if is_kept(path)}
    for path in (stack.settings.secrets_dir, *stack.settings.secrets_dir.rglob("*")):
        os.chown(path, 10001, 10001, follow_symlinks=False)
    stack.compose("up", "--detach")
    until(lambda: stack.store("ping") == "PONG", 20, "the store answers")
    stack.store("set", "before", "kept")
    usual = stack.store("config", "get", "auto-aof-rewrite-percentage")
    started = stack.compose("ps", "--quiet", "valkey-jobs", "writer")
    file = open_path / "saved.tar"

    group = Path("/var/run/docker.sock").stat().st_gid
    for directory in (open_path, stack.settings.root):
        os.chown(directory, 12345, group)
    os.setegid(group)
    os.seteuid(12345)
    try:
        with pytest.raises(PermissionError):
            stack.settings.api_key_file.read_bytes()
        backup.backup(stack.settings, file)
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert file.stat().st_uid == 12345
    assert stack.store("config", "get", "auto-aof-rewrite-percentage") == usual
    assert stack.compose("ps", "--quiet", "valkey-jobs", "writer") == started
    lines = stack.compose("exec", "-T", "writer", "cat", "/data/lines").splitlines()
    gaps = [float(later) - float(earlier) for earlier, later in itertools.pairwise(lines)]
    assert max(gaps) > 3 * statistics.median(gaps), "who writes was stopped, and started again"

    other = small("other")
    restore.restore(other.settings, file, force=False)
    found = {path.name: path for path in other.settings.secrets_dir.rglob("*.*") if is_kept(path)}
    assert {name: path.read_bytes() for name, path in found.items()} == secrets | {
        path.name: path.read_bytes() for path in elsewhere.iterdir()
    }
    assert {path.stat().st_uid for path in found.values()} == {10001}
    other.compose("up", "--detach")
    until(lambda: other.store("ping") == "PONG", 20, "the store answers")
    assert other.store("get", "before") == "kept"
    copied = other.compose("exec", "-T", "writer", "head", "-n", "1", "/data/lines").strip()
    assert copied == lines[0]
    labels = docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={other.name}").split()
    assert f"{other.name}_written" in labels
