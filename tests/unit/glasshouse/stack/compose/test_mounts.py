"""A clone whose files are for their owner alone, started by root: told before the start, not by looping containers."""

import os
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import start
from glasshouse.errors import StackError
from glasshouse.settings import Kind, Settings, load
from glasshouse.stack.compose import mounts

_STRANGER = "4711"


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is mounted, as a clone under umask 022 has it."""
    root = tmp_path_factory.mktemp("checkout")
    for name in (
        *("supervisord.conf", "nginx/start.sh", "prometheus/rules/alerts.yml", "grafana/dashboards/overview.json"),
        *(
            "config/prices.yaml",
            "models/demo/glasshouse-demo.gguf",
            "models/other/x.bin",
            "services/vllm/models/x.yaml",
        ),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


def _settings(checkout: Path, **variables: str) -> Settings:
    return load(checkout, {"GLASSHOUSE_UID": _STRANGER, "GLASSHOUSE_GID": _STRANGER, **variables})


def _close(path: Path, mask: int) -> None:
    path.chmod(path.stat().st_mode & ~mask)


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_a_usual_clone_is_readable(checkout: Path, kind: Kind) -> None:
    assert mounts.first_unreadable(_settings(checkout), kind) is None


@pytest.mark.parametrize("mask", [0o027, 0o077])
@pytest.mark.parametrize(
    ("name", "tree"),
    [
        ("nginx/start.sh", "nginx"),
        ("nginx", "nginx"),
        ("prometheus/rules", "prometheus"),
        ("grafana/dashboards/overview.json", "grafana"),
        ("config/prices.yaml", "config"),
        ("models", "models"),
        ("models/demo", "models"),
        ("models/demo/glasshouse-demo.gguf", "models"),
    ],
)
def test_the_first_path_that_is_closed_is_named_with_the_remedy(
    checkout: Path, name: str, tree: str, mask: int
) -> None:
    path = checkout / name
    _close(path, mask)
    mode = "drwx" if path.is_dir() else "-rw-"
    with pytest.raises(StackError) as caught:
        mounts.require_readable(_settings(checkout), "cpu")
    message = str(caught.value)
    assert message.startswith(f"The containers run as user {_STRANGER}, who cannot read {name} ({mode}")
    assert message.endswith(f"): chmod -R go+rX {tree}")
    assert "\n" not in message


def test_a_whole_clone_that_is_closed_takes_one_command(checkout: Path) -> None:
    for path in checkout.rglob("*"):
        _close(path, 0o077)
    found = mounts.first_unreadable(_settings(checkout), "gpu")
    assert found is not None
    assert (str(found.path), found.mode) == ("nginx", "drwx------")
    assert found.remedy == "chmod -R go+rX nginx prometheus grafana config services/vllm/models models"


def test_model_files_matter_only_with_a_gpu(checkout: Path) -> None:
    _close(checkout / "services/vllm/models/x.yaml", 0o077)
    assert mounts.first_unreadable(_settings(checkout), "cpu") is None
    found = mounts.first_unreadable(_settings(checkout), "gpu")
    assert found is not None
    assert (str(found.path), found.remedy) == ("services/vllm/models/x.yaml", "chmod -R go+rX services/vllm/models")


def test_what_no_container_of_this_start_reads_may_be_private(checkout: Path) -> None:
    for name in ("models/other", "nginx/.start.sh.swp"):
        path = checkout / name
        path.touch()
        path.chmod(0o700)
    (checkout / "grafana/link").symlink_to(checkout / "models/other")
    assert mounts.first_unreadable(_settings(checkout), "cpu") is None


def test_the_owner_and_the_group_read_by_their_own_rights(checkout: Path) -> None:
    for path in (checkout, *checkout.rglob("*")):
        _close(path, 0o077)
    owner = _settings(checkout, GLASSHOUSE_UID=str(os.getuid()))
    assert mounts.first_unreadable(owner, "gpu") is None
    for path in (checkout, *checkout.rglob("*")):
        path.chmod(0o750 if path.is_dir() else 0o640)
    assert mounts.first_unreadable(_settings(checkout, GLASSHOUSE_GID=str(checkout.stat().st_gid)), "gpu") is None
    # Who owns a file has the owner's rights, even where others have more.
    (checkout / "config/prices.yaml").chmod(0o044)
    assert mounts.first_unreadable(owner, "gpu") is not None


def test_an_access_list_may_say_more_than_the_mode(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _close(checkout / "config/prices.yaml", 0o077)
    monkeypatch.setattr(os, "listxattr", lambda _: ["system.posix_acl_access"])
    assert mounts.first_unreadable(_settings(checkout), "cpu") is None


def test_nothing_is_fetched_or_started_from_such_a_clone(docker: FakeDocker, read: Read) -> None:
    place = docker.root / "config"
    place.mkdir()
    place.chmod(0o700)
    variables = {"GLASSHOUSE_UID": _STRANGER, "GLASSHOUSE_GID": _STRANGER}
    with pytest.raises(StackError, match=r"who cannot read config \(drwx------\): chmod -R go\+rX config"):
        start.up(read(**variables), attach=False)
    docker.plan(containers=[docker.container("api")])  # a second start, which would replace what has changed
    with pytest.raises(StackError, match="who cannot read config"):
        start.up(read(**variables), attach=False)
    assert docker.asked_of_compose == []
