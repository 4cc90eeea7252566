from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse.errors import ImagesMissing
from glasshouse.stack.compose import start
from glasshouse.stack.compose.docker import Docker


def test_what_is_built_here_is_built_before_the_rest_is_fetched(docker: FakeDocker, read: Read, root: Path) -> None:
    start.get_images(Docker(read()), (root / "compose.yaml",), "nothing")
    assert docker.asked_of_compose == ["build", "pull --policy missing --ignore-buildable"]
    docker.plan(statuses={"pull": 1})
    with pytest.raises(ImagesMissing, match="could not fetch all images"):
        start.get_images(Docker(read()), (root / "compose.yaml",), "nothing")


def test_an_interrupted_build_says_what_became_of_the_stack(
    read: Read, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Docker, "compose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start.get_images(Docker(read()), (root / "compose.yaml",), "Nothing had been started.")
    assert capsys.readouterr().out == "\nNothing had been started.\n"
