"""A label's values are few, and the same for all workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from loguru import logger
from prometheus_client import CollectorRegistry, Counter

from gateway.telemetry.labels import Labels
from gateway.telemetry.multiprocess.slots import wipe

if TYPE_CHECKING:
    from pathlib import Path


def _labels(register: Path | None, limit: int = 3) -> Labels:
    """A worker's own; several with one register are several workers."""
    return Labels(limit, Counter("overflow_total", "x", registry=CollectorRegistry()), register)


def _overflow(labels: Labels) -> float:
    value: float = labels._overflow._value.get()
    return value


def test_values_beyond_the_limit_are_other(tmp_path: Path) -> None:
    for register in (None, tmp_path / "register"):
        labels = _labels(register)
        assert [labels.label(value) for value in "abcabdeae"] == [*"abcab", "other", "other", "a", "other"]
        assert _overflow(labels) == 3
        assert labels.label("d", count=False) == "other"
        assert [labels.label(value) for value in ("other", "none")] == ["other", "none"]
        assert _overflow(labels) == 3


def test_the_first_that_is_counted_as_another_is_told_of() -> None:
    lines: list[str] = []
    logger.remove()
    sink = logger.add(lines.append, format="{message}")
    labels = _labels(None)
    for value in "abcdde":
        labels.label(value)
    logger.remove(sink)
    assert lines == ["'d' is counted as 'other': 3 have series of their own (MAX_MODEL_SERIES, MAX_KEY_SERIES)\n"]


def test_workers_agree_on_who_was_first(tmp_path: Path) -> None:
    first, second = _labels(tmp_path / "register"), _labels(tmp_path / "register")
    assert [first.label("a"), second.label("b"), second.label("c"), first.label("d")] == ["a", "b", "c", "other"]
    assert [first.label(value) for value in "bcad"] == [*"bca", "other"]
    assert [second.label(value) for value in "adbc"] == ["a", "other", *"bc"]
    later = _labels(tmp_path / "register")
    assert [later.label(value) for value in "dabc"] == ["other", *"abc"]


def test_a_value_registered_by_another_worker_is_still_new_to_this_one(tmp_path: Path) -> None:
    """Its series have to be made here too."""
    first, second = _labels(tmp_path / "register"), _labels(tmp_path / "register")
    assert (first.add("a"), first.add("a"), second.add("a")) == (True, False, True)


def test_concurrent_workers_register_no_more_than_the_limit(tmp_path: Path) -> None:
    def worker(number: int) -> set[str]:
        labels = _labels(tmp_path / "register", limit=10)
        return {labels.label(f"key-{(number + step) % 40}") for step in range(40)} - {"other"}

    with ThreadPoolExecutor(8) as pool:
        owned = list(pool.map(worker, range(8)))
    assert all(values == owned[0] for values in owned)
    assert len(owned[0]) == 10


def test_a_value_may_be_any_text(tmp_path: Path) -> None:
    first, second = _labels(tmp_path / "register"), _labels(tmp_path / "register")
    assert [first.label("a\nb"), second.label("a"), second.label('"'), second.label("b")] == ["a\nb", "a", '"', "other"]


def test_without_a_register_a_worker_decides_alone(tmp_path: Path) -> None:
    labels = _labels(tmp_path / "nowhere" / "register")
    assert [labels.label(value) for value in "abcd"] == [*"abc", "other"]


def test_a_start_clears_the_register(tmp_path: Path) -> None:
    wipe(tmp_path)
    register = tmp_path / "labels-of-gateway_requests_total"
    assert _labels(register, 1).label("a") == "a"
    wipe(tmp_path)
    assert _labels(register, 1).label("b") == "b"


def test_a_register_on_a_full_disk_stays_whole_and_is_not_asked_with_every_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = tmp_path / "register"
    labels = _labels(register)
    assert labels.label("a") == "a"
    size = register.stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr("gateway.telemetry.labels.orjson.dumps", lambda *_, **__: _Half(b'"bcd"\n'))
        assert labels.label("bcd") == "bcd", "on its own"
    assert register.stat().st_size == size
    register.unlink()
    assert [labels.label(value) for value in "efg"] == ["e", "other", "other"]
    assert not register.exists()


class _Half(bytes):
    """What a disk takes less of than there is: it says to be longer than it is."""

    def __len__(self) -> int:
        return 100
