"""The paths of OpenAI's API that are relayed."""

from typing import Any

from gateway.dialects.base import Documentation, Endpoint
from gateway.dialects.openai.dialect import OPENAI

_TEXT = {"type": "string"}
_STREAMING = {"stream": {"type": "boolean"}, "max_tokens": {"type": "integer", "minimum": 1}}
_PROMPT = {"anyOf": [_TEXT, {"type": "array"}]}
_MESSAGES = {"type": "array", "items": {"type": "object"}, "minItems": 1}


def _endpoint(path: str, field: str, schema: dict[str, Any], example: dict[str, Any], *, streams: bool) -> Endpoint:
    name = path.removeprefix("/v1/").replace("/", " ")
    documentation = Documentation(
        summary=f"OpenAI's {name}, relayed to an engine",
        properties={"model": _TEXT, field: schema, **(_STREAMING if streams else {})},
        required=("model", field),
        example={"model": "glasshouse-demo", **example},
    )
    return Endpoint(path, path.encode(), OPENAI, streams=streams, documentation=documentation)


CHAT = _endpoint(
    "/v1/chat/completions",
    "messages",
    _MESSAGES,
    {"messages": [{"role": "user", "content": "What is Glasshouse?"}]},
    streams=True,
)
COMPLETIONS = _endpoint(
    "/v1/completions", "prompt", _PROMPT, {"prompt": "Glasshouse is", "max_tokens": 16}, streams=True
)
EMBEDDINGS = _endpoint("/v1/embeddings", "input", _PROMPT, {"input": "What is Glasshouse?"}, streams=False)
OPENAI_ENDPOINTS = (CHAT, COMPLETIONS, EMBEDDINGS)
