"""Embeddings through the gateway with OpenAI's SDK. vLLM needs an instance of its own for them."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import openai
import pytest
from tests.integration.conftest import VLLM
from tests.support.engine import DEMO
from tests.support.gateway import Gateway
from tests.support.services import Services

TEXTS = ["Glasshouse", "The gateway relays bytes as they come.", "게이트웨이는 무엇을 하나요?"]


class Embedder(NamedTuple):
    """A gateway whose engine embeds, and the model's name there."""

    gateway: Gateway
    model: str


@pytest.fixture(scope="module", params=["llamacpp", VLLM])
def embedder(request: pytest.FixtureRequest, module_services: Services) -> Embedder:
    if request.param == "vllm":
        engine, model = module_services.vllm(model_file="demo-embed.yaml", name="vllm-embed"), f"{DEMO}-embed"
    else:
        engine, model = module_services.llamacpp(), DEMO
    return Embedder(module_services.gateway(engine, workers=2), model)


@pytest.fixture
def client(embedder: Embedder) -> Iterator[openai.OpenAI]:
    transport = openai.DefaultHttpxClient(trust_env=False)
    gateway = embedder.gateway
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, http_client=transport) as sdk:
        yield sdk


def cosine_similarity(left: list[float], right: list[float]) -> float:
    """The cosine similarity of two vectors."""
    product = sum(a * b for a, b in zip(left, right, strict=True))
    return product / math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))


def test_every_text_of_a_list_gets_a_vector_of_its_own(embedder: Embedder, client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=embedder.model, input=TEXTS, encoding_format="float")
    assert [row.index for row in answer.data] == [0, 1, 2]
    vectors = [row.embedding for row in answer.data]
    assert len({len(vector) for vector in vectors}) == 1
    assert len(vectors[0]) >= 64
    assert cosine_similarity(vectors[0], vectors[1]) < 0.999
    assert answer.usage.prompt_tokens > len(TEXTS)


def test_the_same_text_has_the_same_vector_however_it_is_encoded(embedder: Embedder, client: openai.OpenAI) -> None:
    # The SDK requests base64 by default.
    packed = client.embeddings.create(model=embedder.model, input=TEXTS[2]).data[0].embedding
    plain = client.embeddings.create(model=embedder.model, input=[TEXTS[2]], encoding_format="float").data[0].embedding
    assert cosine_similarity(packed, plain) == pytest.approx(1, abs=1e-3)


async def test_the_asynchronous_sdk_gets_the_same(embedder: Embedder) -> None:
    gateway = embedder.gateway
    transport = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with openai.AsyncOpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, http_client=transport
    ) as sdk:
        answer = await sdk.embeddings.create(model=embedder.model, input=TEXTS[0])
    assert len(answer.data[0].embedding) >= 64


def test_tokens_are_counted(embedder: Embedder, client: openai.OpenAI) -> None:
    gateway = embedder.gateway
    before = gateway.tokens(embedder.model)
    answer = client.embeddings.create(model=embedder.model, input=TEXTS)
    assert (gateway.tokens(embedder.model) - before)["input"] == answer.usage.prompt_tokens


@pytest.mark.parametrize("wrong", [[], 3, None], ids=str)
def test_an_invalid_input_is_refused_with_the_engines_message(
    embedder: Embedder, client: openai.OpenAI, wrong: object
) -> None:
    with pytest.raises(openai.BadRequestError, match=r"input|prompt"):
        client.embeddings.create(model=embedder.model, input="", extra_body={"input": wrong})


def test_a_chat_with_an_embedding_model_works_or_is_a_client_error(embedder: Embedder, client: openai.OpenAI) -> None:
    """llama.cpp does both. vLLM does only one, and returns a client error for the other."""
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
    if embedder.model == DEMO:
        assert client.chat.completions.create(model=DEMO, messages=messages, max_tokens=3).choices
        return
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model=embedder.model, messages=messages)
    assert 400 <= refused.value.status_code < 500
    assert refused.value.message
