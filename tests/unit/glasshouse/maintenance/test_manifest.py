import json
from dataclasses import replace

import pytest

from glasshouse.errors import BackupError
from glasshouse.maintenance.manifest import Manifest, PartEntry, parse

_MANIFEST = Manifest("v1", "abc", "gpu", "2026-11-27", (PartEntry("secrets", "secrets.tar.gz", 7, "00"),))


def test_it_is_read_as_it_was_written() -> None:
    assert parse(_MANIFEST.to_json(), "b.tar") == _MANIFEST


def test_a_changed_byte_and_a_newer_schema_are_refused() -> None:
    content = json.loads(_MANIFEST.to_json())
    with pytest.raises(BackupError, match=r"manifest of b\.tar is damaged"):
        parse(json.dumps({**content, "version": "v2"}).encode(), "b.tar")
    with pytest.raises(BackupError, match="made by a newer version, 'v1'"):
        parse(json.dumps({**content, "schema": 2}).encode(), "b.tar")
    with pytest.raises(BackupError, match="not a backup"):
        parse(b'{"project": "other"}', "b.tar")


def test_the_commit_may_be_unknown() -> None:
    unknown = replace(_MANIFEST, commit="", parts=())
    assert parse(unknown.to_json(), "b.tar") == unknown
