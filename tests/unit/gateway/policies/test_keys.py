"""API keys: looked up by hash, re-read when their file changes, and never shown."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from tests.support.in_process.server import until

from gateway.errors import Forbidden, Unauthorized
from gateway.policies.keys import WATCH_INTERVAL_S, KeyRing, KeysFileError, read_keys

SECRET = "Sk-CanaryCanaryCanary_0123456789abcdefABCDEF"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def entry(key: str = "k1", name: str = "a", more: str = "") -> str:
    return f"  - {{name: {name}, sha256: '{digest(key)}'{more}}}\n"


def write(path: Path, *entries: str) -> Path:
    """As an editor does: a new file takes the old one's place."""
    new = path.with_suffix(".new")
    new.write_text("keys:\n" + "".join(entries) if entries else "keys: []\n", encoding="utf-8")
    new.replace(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "keys.yaml", entry())


@pytest.fixture
def logged() -> Any:
    lines: list[str] = []
    logger.remove()
    sink = logger.add(lines.append, format="{message} {extra} {exception}", diagnose=False)
    yield lines
    logger.remove(sink)


def may(ring: KeyRing, key: str) -> str | None:
    """The name of a key, or the code with which it is refused."""
    try:
        return ring.authenticate(key.encode()).name
    except Unauthorized as error:
        return error.code


def test_a_key_is_found_by_its_hash(path: Path) -> None:
    ring = KeyRing(write(path, entry("k1", "a"), entry("k2", "b", ", role: admin")))
    assert (may(ring, "k1"), may(ring, "k2"), may(ring, "k3")) == ("a", "b", "invalid_api_key")
    assert ring.authenticate(b"k2").role == "admin"
    assert len(ring) == 2


def test_the_hash_is_not_a_key(path: Path) -> None:
    assert may(KeyRing(path), digest("k1")) == "invalid_api_key"


def test_a_wrong_key_is_not_repeated(path: Path) -> None:
    with pytest.raises(Unauthorized) as caught:
        KeyRing(path).authenticate(SECRET.encode())
    assert SECRET not in caught.value.message


def test_revoked_and_expired_keys(path: Path) -> None:
    today = datetime.now(UTC).date()
    ring = KeyRing(
        write(
            path,
            entry("gone", "gone", ", revoked: true"),
            entry("old", "old", f", expires: {today - timedelta(days=1)}"),
            entry("last", "last", f", expires: {today}"),
            entry("kept", "kept", f", expires: '{today + timedelta(days=1)}', revoked: false"),
        )
    )
    codes = [may(ring, key) for key in ("gone", "old", "last", "kept")]
    assert codes == ["revoked_api_key", "expired_api_key", "last", "kept"]


def test_a_key_for_some_models(path: Path) -> None:
    ring = KeyRing(
        write(path, entry("k1", "a", ", models: [m2, m1]"), entry("k2", "b"), entry("k3", "c", ", models: []"))
    )
    some, every, none = (ring.authenticate(f"k{number}".encode()) for number in (1, 2, 3))
    assert [key.may_use("m1") for key in (some, every, none)] == [True, True, False]
    some.check_model("m1")
    with pytest.raises(Forbidden, match=r"may not use this model\. It may use: m1, m2\.") as caught:
        some.check_model("canary")
    assert (caught.value.code, caught.value.param) == ("model_not_allowed", "model")
    assert "canary" not in caught.value.message


def test_two_keys_of_one_name_overlap_in_a_rotation(path: Path) -> None:
    ring = KeyRing(write(path, entry("old"), entry("new")))
    assert (may(ring, "old"), may(ring, "new")) == ("a", "a")


GOOD = f"sha256: '{digest('x')}'"
BAD: dict[str, tuple[str, str]] = {
    "no list": ("keys: 7\n", "keys"),
    "nothing": ("", "the whole file"),
    "a list": ("- name: a\n", "the whole file"),
    "another key": ("keys: []\nusers: []\n", "users"),
    "no name": (f"keys:\n  - {{{GOOD}}}\n", "keys.0.name"),
    "bad name": (f"keys:\n  - {{name: 'A b', {GOOD}}}\n", "keys.0.name"),
    "long name": (f"keys:\n  - {{name: {'a' * 65}, {GOOD}}}\n", "keys.0.name"),
    "no hash": ("keys:\n  - {name: a}\n", "keys.0.sha256"),
    "short hash": ("keys:\n  - {name: a, sha256: abc}\n", "keys.0.sha256"),
    "second entry": (f"keys:\n  - {{name: a, {GOOD}}}\n  - {{name: b}}\n", "keys.1.sha256"),
    "role": (f"keys:\n  - {{name: a, {GOOD}, role: root}}\n", "keys.0.role"),
    "date": (f"keys:\n  - {{name: a, {GOOD}, expires: soon}}\n", "keys.0.expires"),
    "no such day": (f"keys:\n  - {{name: a, {GOOD}, expires: 2026-02-30}}\n", "keys.yaml"),
    "revoked": (f"keys:\n  - {{name: a, {GOOD}, revoked: perhaps}}\n", "keys.0.revoked"),
    "models": (f"keys:\n  - {{name: a, {GOOD}, models: m1}}\n", "keys.0.models"),
    "unknown field": (f"keys:\n  - {{name: a, {GOOD}, rpmm: 5}}\n", "keys.0.rpmm"),
    "no YAML": ("keys: [\n", "line"),
    "tabs": ("keys:\n\t- a\n", "line"),
    "an object": ("keys: !!python/object:os.system []\n", "keys.yaml"),
    "deep": ("[" * 1000, "keys.yaml"),
    "a null byte": ("keys: []\n\x00", "keys.yaml"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_invalid_file_is_refused_with_one_sentence(tmp_path: Path, name: str) -> None:
    content, where = BAD[name]
    path = tmp_path / "keys.yaml"
    path.write_text(content)
    with pytest.raises(KeysFileError) as caught:
        KeyRing(path)
    text = str(caught.value)
    assert str(path) in text
    assert where in text
    assert "\n" not in text
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("role", "'user' or 'admin'"), ("bad name", "pattern"), ("models", "tuple"), ("revoked", "boolean")],
)
def test_a_sentence_says_what_is_allowed(tmp_path: Path, name: str, allowed: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(BAD[name][0])
    with pytest.raises(KeysFileError, match=allowed):
        read_keys(path)


def test_a_value_is_echoed_where_it_is_safe(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(BAD["role"][0])
    with pytest.raises(KeysFileError, match="'root'"):
        read_keys(path)


PASTED = {
    "as the hash": f"keys:\n  - {{name: a, sha256: {SECRET}}}\n",
    "as the hash, no name": f"keys:\n  - {{sha256: {SECRET}}}\n",
    "as the name": f"keys:\n  - {{name: {SECRET}, {GOOD}}}\n",
    "as a field": f"keys:\n  - {{name: a, {GOOD}, key: {SECRET}}}\n",
    "as a field's name": f"keys:\n  - {{name: a, {GOOD}, {SECRET}: 1}}\n",
    "as an entry": f"keys:\n  - {SECRET}\n",
    "as all entries": f"keys: {SECRET}\n",
    "as the file": f"{SECRET}\n",
    "as the list": f"- {SECRET}\n",
    "beside bad YAML": f"keys:\n  - {{name: a, sha256: {SECRET}\n  - [\n",
    "as an alias": f"keys: *{SECRET}\n",
    "as a tag": f"keys: !{SECRET} x\n",
    "as role": f"keys:\n  - {{name: a, {GOOD}, role: {SECRET}}}\n",
    "as a model": f"keys:\n  - {{name: a, {GOOD}, models: {SECRET}}}\n",
    "as a date": f"keys:\n  - {{name: a, {GOOD}, expires: {SECRET}}}\n",
}


@pytest.mark.parametrize("how", PASTED)
def test_a_pasted_secret_is_never_echoed(path: Path, logged: list[str], how: str) -> None:
    ring = KeyRing(path)
    path.write_text(PASTED[how])
    with pytest.raises(KeysFileError) as caught:
        read_keys(path)
    ring.refresh()
    for text in (str(caught.value), "".join(logged)):
        assert SECRET not in text
        assert SECRET[:16] not in text


@pytest.mark.parametrize("how", ["missing", "a directory", "no UTF-8"])
def test_a_file_that_cannot_be_read(tmp_path: Path, how: str) -> None:
    path = tmp_path / "keys.yaml"
    if how == "a directory":
        path.mkdir()
    elif how == "no UTF-8":
        path.write_bytes(b"keys: \xff\xfe")
    with pytest.raises(KeysFileError, match=r"keys\.yaml") as caught:
        KeyRing(path)
    assert "\n" not in str(caught.value)


def test_the_file_is_reloaded_only_when_it_changes(path: Path) -> None:
    ring = KeyRing(path)
    assert ring.refresh() is False
    write(path, entry("k1", "a", ", revoked: true"), entry("k2", "b"))
    assert ring.refresh() is True
    assert ring.refresh() is False
    assert (may(ring, "k1"), may(ring, "k2")) == ("revoked_api_key", "b")


def test_a_change_of_the_same_size_within_a_second_is_noticed(path: Path) -> None:
    ring = KeyRing(path)
    stat = path.stat()
    path.write_text(path.read_text().replace("name: a", "name: b"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert ring.refresh() is True
    assert may(ring, "k1") == "b"


@pytest.mark.parametrize("name", BAD)
def test_an_invalid_change_keeps_the_previous_keys_and_is_logged_once(path: Path, logged: list[str], name: str) -> None:
    ring = KeyRing(path)
    path.write_text(BAD[name][0])
    for _ in range(3):
        assert ring.refresh() is False
        assert may(ring, "k1") == "a"
    assert len(logged) == 1
    write(path, entry("k2", "b"))
    assert ring.refresh() is True
    assert (may(ring, "k1"), may(ring, "k2")) == ("invalid_api_key", "b")


def test_a_missing_file_keeps_the_old_keys_until_it_is_back(path: Path) -> None:
    ring = KeyRing(path)
    path.unlink()
    assert ring.refresh() is False
    assert may(ring, "k1") == "a"
    write(path, entry("k1", "b"))
    assert ring.refresh() is True
    assert may(ring, "k1") == "b"


async def test_the_watcher_survives_an_invalid_file_and_revokes_within_five_seconds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WATCH_INTERVAL_S <= 5
    monkeypatch.setattr("gateway.policies.keys.WATCH_INTERVAL_S", 0.01)
    ring = KeyRing(path)
    watch = asyncio.create_task(ring.watch())
    for name in ("no such day", "deep", "no YAML"):
        await asyncio.to_thread(path.write_text, BAD[name][0])
        await asyncio.sleep(0.05)
        assert not watch.done()
    write(path, entry("k1", "a", ", revoked: true"))
    await until(lambda: may(ring, "k1") == "revoked_api_key", 2)
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch


def test_a_worker_that_starts_with_an_invalid_file_uses_the_last_valid_one(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "last-good"
    KeyRing(path, copy)
    path.write_text("keys: [\n")
    assert may(KeyRing(path, copy), "k1") == "a"
    write(path, entry("k2", "b"))
    assert may(KeyRing(path, copy), "k2") == "b"
    path.unlink()
    assert may(KeyRing(path, copy), "k2") == "b"
    with pytest.raises(KeysFileError):
        KeyRing(path, tmp_path / "no-copy")


def test_a_copy_that_cannot_be_kept_is_no_error(path: Path, tmp_path: Path) -> None:
    ring = KeyRing(path, tmp_path / "no" / "such" / "place")
    assert may(ring, "k1") == "a"
