"""Chat through the gateway with OpenAI's SDK: the answers of the corpus, with every engine and number of workers."""

import asyncio
from collections.abc import Callable

import openai
import pytest
from tests.support.corpus import Question, longest, sample
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.program import until

QUESTIONS = [*sample("ko", 4), *sample("en", 4)]
LONG = longest("en")


def one_message(question: Question) -> list[openai.types.chat.ChatCompletionMessageParam]:
    return [{"role": "user", "content": question.text}]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_a_plain_answer_is_that_of_the_corpus(client: openai.OpenAI, question: Question) -> None:
    answer = client.chat.completions.create(model=DEMO, messages=one_message(question), temperature=0)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", question.answer)
    assert (choice.finish_reason, answer.model, answer.object) == ("stop", DEMO, "chat.completion")
    assert answer.usage is not None
    assert min(answer.usage.prompt_tokens, answer.usage.completion_tokens) > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_a_stream_is_the_same_answer_in_pieces(client: openai.OpenAI, question: Question) -> None:
    with client.chat.completions.create(
        model=DEMO, messages=one_message(question), temperature=0, stream=True
    ) as stream:
        chunks = list(stream)
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "".join(pieces) == question.answer
    assert len(pieces) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_usage": True}], ids=str)
def test_usage_is_streamed_only_on_request_and_always_counted(
    gateway: Gateway, client: openai.OpenAI, options: openai.types.chat.ChatCompletionStreamOptionsParam | None
) -> None:
    plain = client.chat.completions.create(model=DEMO, messages=one_message(LONG), temperature=0).usage
    assert plain is not None
    before = gateway.tokens(DEMO)
    with client.chat.completions.create(
        model=DEMO, messages=one_message(LONG), temperature=0, stream=True,
        stream_options=openai.omit if options is None else options,
    ) as stream:  # fmt: skip
        chunks = list(stream)
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    if options == {"include_usage": True}:
        assert chunks[-1].choices == []
        assert [(usage.prompt_tokens, usage.completion_tokens) for usage in usages] == [
            (plain.prompt_tokens, plain.completion_tokens)
        ]
    else:
        assert usages == []
        assert all(chunk.choices for chunk in chunks)
    counted = gateway.tokens(DEMO) - before
    assert (counted["input"], counted["output"]) == (plain.prompt_tokens, plain.completion_tokens)


async def test_the_asynchronous_sdk_gets_the_same(aclient: openai.AsyncOpenAI) -> None:
    for question in QUESTIONS[::3]:
        answer = await aclient.chat.completions.create(model=DEMO, messages=one_message(question), temperature=0)
        assert answer.choices[0].message.content == question.answer
        assert await streamed(aclient, question) == question.answer


async def test_sixteen_concurrent_streams_are_all_correct(aclient: openai.AsyncOpenAI) -> None:
    asked = (QUESTIONS * 2)[:16]
    answers = await asyncio.gather(*(streamed(aclient, question) for question in asked))
    assert answers == [question.answer for question in asked]


async def streamed(aclient: openai.AsyncOpenAI, question: Question) -> str:
    stream = await aclient.chat.completions.create(
        model=DEMO, messages=one_message(question), temperature=0, stream=True
    )
    async with stream:
        return "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])


def test_max_tokens_limits_the_answer_with_its_finish_reason(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=DEMO, messages=one_message(LONG), temperature=0, max_tokens=7)
    (choice,) = answer.choices
    assert choice.finish_reason == "length"
    assert choice.message.content
    assert LONG.answer.startswith(choice.message.content)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 7


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_stop_sequence_ends_the_answer_before_it(client: openai.OpenAI, stream: bool) -> None:
    stop = LONG.answer.split()[5]
    if stream:
        with client.chat.completions.create(
            model=DEMO, messages=one_message(LONG), temperature=0, stop=[stop], stream=True
        ) as chunks:
            choices = [choice for chunk in chunks for choice in chunk.choices]
        text, reason = "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason
    else:
        (choice,) = client.chat.completions.create(
            model=DEMO, messages=one_message(LONG), temperature=0, stop=[stop]
        ).choices
        text, reason = choice.message.content or "", choice.finish_reason or "stop"
    assert text == LONG.answer.partition(stop)[0]
    assert reason == "stop"


def test_n_returns_as_many_choices_and_counts_all_of_them(gateway: Gateway, client: openai.OpenAI) -> None:
    question = QUESTIONS[0]
    single_usage = client.chat.completions.create(model=DEMO, messages=one_message(question), temperature=0).usage
    before = gateway.tokens(DEMO)
    # vLLM samples several choices; with one token to sample from they are still the greedy answer.
    answer = client.chat.completions.create(
        model=DEMO, messages=one_message(question), temperature=1, n=2, extra_body={"top_k": 1}
    )
    assert [(choice.index, choice.message.content) for choice in answer.choices] == [
        (0, question.answer), (1, question.answer),
    ]  # fmt: skip
    assert single_usage is not None
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2 * single_usage.completion_tokens
    assert (gateway.tokens(DEMO) - before)["output"] == 2 * single_usage.completion_tokens


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_logprobs_are_those_of_the_answer(client: openai.OpenAI, stream: bool) -> None:
    question = QUESTIONS[-1]
    asked: Callable[..., object] = client.chat.completions.create
    found = asked(
        model=DEMO, messages=one_message(question), temperature=0, logprobs=True, top_logprobs=2, stream=stream
    )
    if isinstance(found, openai.Stream):
        with found:
            choices = [choice for chunk in found for choice in chunk.choices]
    else:
        assert isinstance(found, openai.types.chat.ChatCompletion)
        choices = list(found.choices)
    tokens = [token for choice in choices if choice.logprobs for token in choice.logprobs.content or []]
    text = b"".join(bytes(token.bytes or []) for token in tokens).decode().removesuffix("<|im_end|>")
    assert text == question.answer
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)


def test_fields_that_openai_does_not_know_reach_the_engine(client: openai.OpenAI) -> None:
    # With only the most likely token to choose from, even a high temperature changes nothing.
    for question in QUESTIONS[::4]:
        answer = client.chat.completions.create(
            model=DEMO, messages=one_message(question), temperature=1.8, extra_body={"top_k": 1, "made_up": {"a": [1]}}
        )
        assert answer.choices[0].message.content == question.answer


def test_a_request_can_be_found_by_its_id(gateway: Gateway, client: openai.OpenAI, engine: Engine) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=DEMO, messages=one_message(LONG), temperature=0, extra_headers={"x-request-id": "made-by-the-client-1"}
    )
    assert raw.headers["x-request-id"] == "made-by-the-client-1"
    usage = raw.parse().usage
    assert usage is not None
    until(lambda: bool(gateway.lines(request_id="made-by-the-client-1")), 5, "the request is in the log")
    (line,) = gateway.lines(request_id="made-by-the-client-1")[-1:]
    expected = {
        "event": "request", "key": "tester", "route": "/v1/chat/completions", "model": DEMO, "engine": engine.name,
        "stream": False, "status": 200, "outcome": "ok", "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens, "attempts": 1, "error_code": None,
    }  # fmt: skip
    assert expected.items() <= line.items()
    assert line["duration_ms"] > 0
