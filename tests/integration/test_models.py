"""The list of models, and errors, as OpenAI's SDK sees them."""

import openai
import pytest
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway

HELLO: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


def test_the_list_is_what_the_engine_serves(client: openai.OpenAI, engine: Engine) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.object) == (DEMO, "model")
    assert model.owned_by == {"vllm": "vllm", "llamacpp": "llama_cpp"}[engine.kind]
    assert model.created > 1_700_000_000


def test_a_single_model_can_be_retrieved(client: openai.OpenAI) -> None:
    assert client.models.retrieve(DEMO) == client.models.list().data[0]


async def test_the_asynchronous_sdk_gets_the_same(aclient: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in aclient.models.list()] == [DEMO]


def test_an_unknown_model_is_not_found_and_the_known_one_is_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as listed:
        client.models.retrieve("made-up")
    with pytest.raises(openai.NotFoundError) as chatted:
        client.chat.completions.create(model="made-up", messages=HELLO)
    for refused in (listed.value, chatted.value):
        assert (refused.code, refused.param) == ("model_not_found", "model")
        assert DEMO in refused.message
        assert "made-up" not in refused.message


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_wrong_key_is_an_authentication_error(gateway: Gateway, stream: bool) -> None:
    transport = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="gh-wrong", max_retries=0, http_client=transport) as sdk:
        with pytest.raises(openai.AuthenticationError) as refused:
            sdk.chat.completions.create(model=DEMO, messages=HELLO, stream=stream)
        assert refused.value.code == "invalid_api_key"
        assert refused.value.response.headers["www-authenticate"] == "Bearer"
        with pytest.raises(openai.AuthenticationError):
            sdk.models.list()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_prompt_over_the_context_is_a_bad_request(client: openai.OpenAI, engine: Engine, stream: bool) -> None:
    words = "word " * (engine.context() + 100)
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=DEMO, messages=[{"role": "user", "content": words}], stream=stream)
    assert refused.value.code == "context_length_exceeded"
    assert str(engine.context()) in refused.value.message
