"""A checkout with secrets and data, as a native stack leaves them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from glasshouse.secrets import bootstrap
from glasshouse.settings import Settings, load

Checkout = Callable[..., Settings]


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory but the locks of commands."""
    paths = (path for path in directory.rglob("*") if path.is_file() and not path.name.endswith("lock"))
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Makes a checkout of a name: empty, or with secrets and three files of Prometheus'."""

    def make(name: str, *, used: bool = True, **variables: str) -> Settings:
        root = tmp_path / name
        (root / "services").mkdir(parents=True)
        (root / "supervisord.conf").touch()
        settings = load(root, {"SHAPE": "native", **variables})
        if used:
            bootstrap.create_missing(settings)
            data = settings.run_dir / "prometheus" / "data"
            (data / "01BLOCK" / "chunks").mkdir(parents=True)
            (data / "01BLOCK" / "chunks" / "000001").write_bytes(bytes(range(256)) * 1000)
            (data / "01BLOCK" / "meta.json").write_text("{}")
            (data / "queries.active").touch()
        return settings

    return make
