"""Text completion through the gateway with OpenAI's SDK."""

import openai
import pytest
from tests.support.corpus import Question, longest, sample
from tests.support.engine import DEMO
from tests.support.gateway import Gateway

QUESTIONS = [*sample("ko", 2), *sample("en", 2)]
LONG = longest("ko")


def prompt(question: Question) -> str:
    """A question in the chat format of models/demo/chat_template.jinja."""
    return f"<|im_start|>user\n{question.text}<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_a_plain_answer_is_that_of_the_corpus(client: openai.OpenAI, question: Question) -> None:
    answer = client.completions.create(model=DEMO, prompt=prompt(question), temperature=0, max_tokens=900)
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason) == (question.answer, "stop")
    assert (answer.object, answer.model) == ("text_completion", DEMO)
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize("include_usage", [None, False, True])
def test_a_stream_is_the_same_answer_in_pieces(
    gateway: Gateway, client: openai.OpenAI, include_usage: bool | None
) -> None:
    plain = client.completions.create(model=DEMO, prompt=prompt(LONG), temperature=0, max_tokens=900).usage
    assert plain is not None
    before = gateway.tokens(DEMO)
    with client.completions.create(
        model=DEMO, prompt=prompt(LONG), temperature=0, max_tokens=900, stream=True,
        stream_options=openai.omit if include_usage is None else {"include_usage": include_usage},
    ) as stream:  # fmt: skip
        chunks = list(stream)
    pieces = [choice.text for chunk in chunks for choice in chunk.choices if choice.text]
    assert ("".join(pieces), len(pieces) > 1) == (LONG.answer, True)
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    usages = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage is not None]
    assert usages == ([plain.completion_tokens] if include_usage else [])
    assert (gateway.tokens(DEMO) - before)["output"] == plain.completion_tokens


def test_a_list_of_prompts_gets_an_answer_to_each(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model=DEMO, prompt=[prompt(question) for question in QUESTIONS], temperature=0, max_tokens=900
    )
    found = sorted((choice.index, choice.text) for choice in answer.choices)
    assert found == [(index, question.answer) for index, question in enumerate(QUESTIONS)]


def test_every_choice_is_counted(gateway: Gateway, client: openai.OpenAI) -> None:
    alone = [
        client.completions.create(model=DEMO, prompt=prompt(question), temperature=0, max_tokens=900).usage
        for question in QUESTIONS[:2]
    ]
    before = gateway.tokens(DEMO)
    together = client.completions.create(
        model=DEMO, prompt=[prompt(question) for question in QUESTIONS[:2]], temperature=0, max_tokens=900
    ).usage
    assert together is not None
    assert together.completion_tokens == sum(usage.completion_tokens for usage in alone if usage is not None)
    assert (gateway.tokens(DEMO) - before)["output"] == together.completion_tokens


async def test_the_asynchronous_sdk_gets_the_same(aclient: openai.AsyncOpenAI) -> None:
    question = QUESTIONS[-1]
    answer = await aclient.completions.create(model=DEMO, prompt=prompt(question), temperature=0, max_tokens=900)
    assert answer.choices[0].text == question.answer
    stream = await aclient.completions.create(
        model=DEMO, prompt=prompt(question), temperature=0, max_tokens=900, stream=True
    )
    async with stream:
        text = "".join([choice.text async for chunk in stream for choice in chunk.choices])
    assert text == question.answer
