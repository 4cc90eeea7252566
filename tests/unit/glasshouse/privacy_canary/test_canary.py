"""Without an API; a run against a real one is in tests/integration/test_privacy_canary.py."""

from pathlib import Path

import pytest
from tests.support.program import free_port

from glasshouse.privacy_canary import canary
from glasshouse.privacy_canary.canary import Report
from glasshouse.privacy_canary.settings import Settings


@pytest.mark.parametrize(
    ("report", "result"),
    [
        (Report(found={"a": 0}), "clean"),
        (Report(found={"a": 0, "b": 1}), "found"),
        (Report(found={"a": 1}, unreadable={"b": "gone"}, failure="down"), "found"),
        (Report(found={"a": 0}, unreadable={"b": "gone"}), "incomplete"),
        (Report(), "incomplete"),  # a canary that reads nothing proves nothing
        (Report(found={"a": 0}, failure="down"), "failed"),
    ],
)
def test_a_run_in_a_word(report: Report, result: str) -> None:
    assert report.result == result


def test_places_are_searched_although_nothing_answers(tmp_path: Path) -> None:
    key, log = tmp_path / "api-key", tmp_path / "llamacpp.log"
    key.write_text("sk-1")
    log.write_text("starting")
    settings = Settings(url=f"http://127.0.0.1:{free_port()}", key_file=key, logs={"llamacpp": str(log)})
    slept: list[float] = []
    report = canary.run(settings, slept.append)
    assert report.found == {"log:llamacpp": 0}
    assert report.failure is not None
    assert "Nothing answers" in report.failure
    assert report.result == "failed"
    assert slept == [settings.settle]
    assert not canary.is_ready(settings)


def test_a_canary_without_a_key_says_so(tmp_path: Path) -> None:
    report = canary.run(Settings(key_file=tmp_path / "api-key"), lambda _: None)
    assert report.failure is not None
    assert "has no key of its own" in report.failure
