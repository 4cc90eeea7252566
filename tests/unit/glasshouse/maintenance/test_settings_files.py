from pathlib import Path

import pytest

from glasshouse.maintenance import settings_files
from glasshouse.settings import load


@pytest.mark.parametrize(
    ("named", "more"),
    [
        ("", set()),
        ("compose.yaml:compose.cpu.yaml", set()),  # the project's own
        ("compose.yaml:mine/extra.yaml", {"mine/extra.yaml"}),
        ("compose.yaml:/etc/theirs.yaml:../theirs.yaml", set()),  # outside of the checkout
    ],
)
def test_the_owners_own_files_in_the_checkout_are_saved(root: Path, named: str, more: set[str]) -> None:
    found = settings_files.component(load(root, {"COMPOSE_FILE": named}))
    assert set(found.files) == {".env", "vllm.env", "compose.override.yaml"} | more
    assert found.files[".env"] == root / ".env"
