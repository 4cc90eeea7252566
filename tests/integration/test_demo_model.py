"""The demo model knows its corpus: every engine answers every question exactly."""

import asyncio
from collections.abc import Callable

import openai
import pytest
from tests.support.corpus import Question, questions
from tests.support.engine import DEMO

pytestmark = pytest.mark.parametrize("gateway", [2], indirect=True, ids=["2w"])
CONCURRENCY = 32


@pytest.mark.timeout(300)
async def test_every_question_is_answered_exactly(
    aclient: openai.AsyncOpenAI, measured: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    slots = asyncio.Semaphore(CONCURRENCY)

    async def mismatch(question: Question) -> str | None:
        async with slots:
            response = await aclient.with_options(timeout=120).chat.completions.create(
                model=DEMO, messages=[{"role": "user", "content": question.text}], temperature=0
            )
        content = response.choices[0].message.content
        return None if content == question.answer else f"{question.id}: {question.text!r} -> {content!r}"

    asked = questions()
    began = asyncio.get_running_loop().time()
    found = [text for text in await asyncio.gather(*map(mismatch, asked)) if text is not None]
    took = asyncio.get_running_loop().time() - began
    measured(f"{request.node.callspec.id}: {len(asked) - len(found)} of {len(asked)} questions exact in {took:.0f} s")
    assert found == []
