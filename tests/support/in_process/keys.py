"""Engine keys as the gateway reads them: from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.upstream import EngineKey

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = "the-old-engine-key-0123456789", "the-new-engine-key-0123456789"


def engine_key(directory: Path, key: str) -> EngineKey:
    """A key file in this directory, and what reads it."""
    path = directory / "engine-key"
    path.write_text(f"{key}\n")
    return EngineKey(path)
