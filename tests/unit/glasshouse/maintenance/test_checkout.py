from importlib import metadata
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import Repository

from glasshouse.errors import UpgradeError
from glasshouse.maintenance.checkout import Checkout


def test_versions_are_named_by_their_tags(repository: Repository) -> None:
    checkout = Checkout(repository.root)
    assert (checkout.version, checkout.branch, checkout.changed) == ("v1.0.0", "main", ())
    old = checkout.commit
    repository.version("new", "v1.10.0")
    repository.git("tag", "v1.9.0")
    repository.git("tag", "v2.0.0-rc1")
    assert checkout.newest_tag() == "v1.10.0"
    assert checkout.is_ancestor(old, checkout.commit)
    assert not checkout.is_ancestor(checkout.commit, old)
    assert checkout.differ(old, checkout.commit, "VERSION")
    assert not checkout.differ(old, checkout.commit, "requirements.lock")


def test_a_switch_to_a_branch_is_not_detached(repository: Repository) -> None:
    checkout = Checkout(repository.root)
    checkout.switch("v1.0.0")
    assert checkout.branch == ""
    checkout.switch("main")
    assert checkout.branch == "main"


def test_changed_files_are_named_and_what_git_refuses_is_one_sentence(repository: Repository) -> None:
    checkout = Checkout(repository.root)
    (repository.root / "VERSION").write_text("mine\n")
    assert checkout.changed == ("VERSION",)
    with pytest.raises(UpgradeError, match="git rev-parse: status 1"):
        checkout.resolve("nowhere")
    with pytest.raises(UpgradeError, match="git switch: fatal: invalid reference: nowhere"):
        checkout.switch("nowhere")


def test_without_git_the_version_is_the_packages_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checkout = Checkout(tmp_path)
    assert checkout.version == metadata.version("glasshouse")
    assert (checkout.commit, checkout.branch, checkout.changed) == ("", "", ())
    with pytest.raises(UpgradeError, match=r"git tag: .*No such file"):
        checkout.git("tag")
