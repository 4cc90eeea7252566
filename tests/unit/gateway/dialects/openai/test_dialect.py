"""OpenAI's dialect as a whole: where the key is, and what an engine gets."""

from __future__ import annotations

import json

import pytest

from gateway.dialects.openai import OPENAI
from gateway.dialects.openai.endpoints import CHAT
from gateway.errors import Unauthorized


@pytest.mark.parametrize("value", [b"Bearer k1", b"bearer k1", b"BEARER k1", b"Bearer  k1", b"Bearer k1 "])
def test_a_header_may_be_written_in_ways(value: bytes) -> None:
    assert OPENAI.credentials({b"authorization": value}.get) == b"k1"


@pytest.mark.parametrize("value", [None, b"", b"Bearer", b"Bearer ", b"k1", b"Basic k1", b"Bearer\tk1"])
def test_a_header_without_a_key(value: bytes | None) -> None:
    with pytest.raises(Unauthorized) as caught:
        OPENAI.credentials(lambda name: value if name == b"authorization" else b"Bearer elsewhere")
    assert caught.value.code == "missing_api_key"
    assert "Bearer YOUR_KEY" in caught.value.message


def test_an_engine_gets_the_clients_own_bytes_unless_it_must_stream() -> None:
    body = b'{ "model": "m","messages":[] }'
    request = OPENAI.parse(CHAT, body)
    assert OPENAI.to_engine(request, as_stream=False) == body
    streamed = json.loads(OPENAI.to_engine(request, as_stream=True))
    assert streamed == {"model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": True}}


def test_a_plain_answer_is_made_from_a_stream() -> None:
    chunks = [{"object": "text_completion", "choices": [{"index": 0, "text": text}]} for text in ("a", "b")]
    aggregator = OPENAI.aggregator(OPENAI.parse(CHAT, b'{"model":"m"}'))
    for chunk in chunks:
        assert aggregator.feed(b"data: %b\n\n" % json.dumps(chunk).encode()) == b""
    aggregator.feed(b"data: [DONE]\n\n")
    assert (aggregator.done, aggregator.failure, aggregator.token_events) == (True, None, 2)
    assert json.loads(aggregator.answer())["choices"] == [{"index": 0, "finish_reason": None, "text": "ab"}]
