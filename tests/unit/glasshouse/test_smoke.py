import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.conftest import FakeApi

from glasshouse import smoke
from glasshouse.errors import ApiError

_CHAT = "/v1/chat/completions"


def _chunk(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]})


_USAGE = json.dumps({"choices": [], "usage": {"completion_tokens": 3}})
_GOOD = [_chunk("It is"), _chunk(" glass."), _USAGE, "[DONE]"]
_PLAIN = {"choices": [{"message": {"content": "A house."}}], "usage": {"completion_tokens": 4}}


@pytest.fixture
def target(fake_api: FakeApi, tmp_path: Path) -> smoke.Target:
    key_file = tmp_path / "api-key"
    key_file.write_text("sk-1\n")
    fake_api.answers["/v1/models"] = (200, {"data": [{"id": "demo"}]})
    fake_api.answers[f"{_CHAT}#stream"] = (200, _GOOD)
    fake_api.answers[_CHAT] = (200, _PLAIN)
    return smoke.Target(fake_api.url, key_file, None)


def test_both_answers_and_their_figures_are_shown(
    target: smoke.Target, fake_api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke.run(target)
    shown = capsys.readouterr().out
    assert "It is glass." in shown
    assert "3 tokens in 2 pieces, TTFT " in shown
    assert "A house." in shown
    assert "4 tokens in " in shown
    assert [request["model"] for _, _, request in fake_api.requests[1:]] == ["demo", "demo"]


def test_the_result_holds_what_the_report_says(target: smoke.Target) -> None:
    report: list[str] = []
    result = smoke.measure(target, report.append)
    assert (result.url, result.model) == (f"{target.url}/v1", "demo")
    assert (result.streamed.text, result.streamed.tokens, result.streamed.pieces) == ("It is glass.", 3, 2)
    assert (result.plain.text, result.plain.tokens, result.plain.pieces) == ("A house.", 4, None)
    assert result.streamed.ttft_seconds is not None
    assert 0 < result.streamed.ttft_seconds < result.streamed.seconds
    assert f"TTFT {result.streamed.ttft_seconds * 1000:.0f} ms" in "".join(report)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ([_chunk("It"), "[DONE]"], "without usage"),
        ([_chunk("It"), _USAGE], r"without \[DONE\]"),
        ([_USAGE, "[DONE]"], "streamed answer is empty"),
        ([_chunk("It"), json.dumps({"error": {"message": "The engine is gone."}})], r"broke: The engine is gone\."),
        ([_chunk("It"), "{"], "other than JSON"),
    ],
)
def test_a_stream_that_is_not_as_it_should_be_is_an_error(
    target: smoke.Target, fake_api: FakeApi, stream: list[str], message: str
) -> None:
    fake_api.answers[f"{_CHAT}#stream"] = (200, stream)
    with pytest.raises(ApiError, match=message):
        smoke.run(target)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((503, {"error": {"message": "No engine is ready."}}), r"answered 503: No engine is ready\."),
        ((200, {"choices": []}), "does not have OpenAI's shape"),
        ((200, {**_PLAIN, "usage": None}), "without usage"),
        ((200, {**_PLAIN, "choices": [{"message": {"content": ""}}]}), "plain answer is empty"),
    ],
)
def test_a_plain_answer_that_is_not_as_it_should_be_is_an_error(
    target: smoke.Target, fake_api: FakeApi, answer: tuple[int, Any], message: str
) -> None:
    fake_api.answers[_CHAT] = answer
    with pytest.raises(ApiError, match=message):
        smoke.run(target)


def test_a_refused_stream_is_said_with_its_reason(target: smoke.Target, fake_api: FakeApi) -> None:
    fake_api.answers[f"{_CHAT}#stream"] = (429, {"error": {"message": "Too many."}})
    with pytest.raises(ApiError, match=r"429: Too many\."):
        smoke.run(target)


def test_a_missing_key_file_is_named(target: smoke.Target) -> None:
    with pytest.raises(ApiError, match=r"nowhere cannot be read"):
        smoke.run(smoke.Target(target.url, Path("nowhere"), None))
