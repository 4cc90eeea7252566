import subprocess
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import REPOSITORY

from glasshouse.errors import StackError
from glasshouse.stack.compose.images import Images, KeptImage


class Docker:
    """Answers what a test has laid down, and keeps the rest."""

    def __init__(self, containers: str, listed: tuple[str, ...] = (), held: str = "") -> None:
        self.containers, self.listed, self.held = containers, listed, held
        self.did: list[str] = []

    def __call__(self, *words: str) -> str:
        if words[0] == "inspect":
            return self.containers
        if words[:2] == ("image", "ls"):
            assert "label=com.docker.compose.project=mine" in words
            assert "label=com.docker.compose.service=api" in words
            return "\n".join(self.listed)
        if words[-1] == self.held:
            raise StackError("a container uses it.")
        self.did.append(" ".join(words))
        return ""


def test_only_what_is_built_here_is_kept_by_a_tag_of_its_own() -> None:
    docker = Docker(
        "glasshouse/api:1 sha256:a\nnginx:1 sha256:n\nglasshouse/init:1 sha256:i\nglasshouse/api:1 sha256:a\n"
    )
    kept = Images(docker, "mine").keep(["c1", "c2", "c3"])
    assert kept == (KeptImage("glasshouse/api:1", "sha256:a"), KeptImage("glasshouse/init:1", "sha256:i"))
    assert docker.did == ["tag sha256:a glasshouse/api:mine-before", "tag sha256:i glasshouse/init:mine-before"]
    docker.did.clear()
    Images(docker, "mine").put_back(kept[:1])
    assert docker.did == ["tag sha256:a glasshouse/api:1", "image rm --no-prune glasshouse/api:mine-before"]


def test_images_older_than_the_version_before_go_by_name_and_nothing_else_does() -> None:
    listed = (
        "sha256:new glasshouse/api:2",
        "sha256:a glasshouse/api:mine-previous",
        "sha256:a glasshouse/api:1",
        "sha256:old glasshouse/api:0",
        "sha256:older <none>:<none>",
        "sha256:held glasshouse/api:held",
        "sha256:own registry.example/own:1",
    )
    docker = Docker("sha256:new\n", listed, held="glasshouse/api:held")
    assert Images(docker, "mine").complete([KeptImage("glasshouse/api:1", "sha256:a")], ["c1"]) == 2
    assert docker.did == [
        "tag sha256:a glasshouse/api:mine-previous",
        "image rm --no-prune glasshouse/api:mine-before",
        "image rm glasshouse/api:0",
        "image rm sha256:older",
    ]


@pytest.mark.parametrize("name", ["backups/glasshouse-20260101-000000-v1.tar", "backups/.glasshouse-1.tar.partial"])
def test_git_and_dockers_builds_do_not_see_backups(tmp_path: Path, git: str, name: str) -> None:
    for file in (".gitignore", ".dockerignore"):
        (tmp_path / file).write_text((REPOSITORY / file).read_text())
    subprocess.run([git, "init", "--quiet", tmp_path], check=True)
    assert subprocess.run([git, "-C", tmp_path, "check-ignore", "--quiet", name], check=False).returncode == 0
    patterns = [line for line in (tmp_path / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert patterns[0] == "*"
    assert not any(pattern.startswith("!backups") for pattern in patterns)
