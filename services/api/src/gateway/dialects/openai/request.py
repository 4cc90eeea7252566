"""The few fields of a request that the gateway reads. Everything else goes to the engine as it came.

What an engine accepts is for the engine to decide: only fields that the gateway itself reads are validated here.
"""

import json
from typing import Any

import orjson

from gateway.dialects.base import Endpoint, InferenceRequest
from gateway.errors import InvalidRequest

# An engine that accepted more would run out of memory first.
_MAX_CHOICES = 16_384
# Asks the engine for the token count at the end of a stream.
_ASK_FOR_USAGE = b'"stream_options":{"include_usage":true}'


def parse_request(endpoint: Endpoint, body: bytes) -> InferenceRequest:
    """Parses a body.

    Raises:
        InvalidRequest: It is not JSON (including NaN, invalid UTF-8 and too deep nesting), or a field that the gateway
            reads has the wrong type; `param` names it.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise InvalidRequest("The body must be a JSON object.")
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("'model' must name a model; GET /v1/models lists them.", param="model")
    stream = fields.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest("'stream' must be true or false.", param="stream")
    if not stream or not endpoint.streams:
        return InferenceRequest(endpoint, model, stream=False, usage_wanted=False, n=_choices(fields), body=body)
    return _streaming(endpoint, model, fields, body)


def _choices(fields: dict[str, Any]) -> int:
    """Choices per prompt; 1 if the value is invalid, which is for the engine to refuse."""
    n = fields.get("n")
    return n if isinstance(n, int) and 1 <= n <= _MAX_CHOICES else 1


def _streaming(endpoint: Endpoint, model: str, fields: dict[str, Any], body: bytes) -> InferenceRequest:
    n = _choices(fields)
    options = fields.get("stream_options")
    if options is None and "stream_options" not in fields:
        # The common case needs no re-encoding, and the client's bytes stay as they are.
        head = body.rstrip()[:-1].rstrip()
        return InferenceRequest(
            endpoint, model, stream=True, usage_wanted=False, n=n, body=b"%b,%b}" % (head, _ASK_FOR_USAGE)
        )
    if options is not None and not isinstance(options, dict):
        raise InvalidRequest("'stream_options' must be an object.", param="stream_options")
    options = options or {}
    wanted = options.get("include_usage")
    if wanted is not None and not isinstance(wanted, bool):
        raise InvalidRequest(
            "'stream_options.include_usage' must be true or false.", param="stream_options.include_usage"
        )
    if wanted:
        return InferenceRequest(endpoint, model, stream=True, usage_wanted=True, n=n, body=body)
    asked = with_fields(body, stream_options={**options, "include_usage": True})
    return InferenceRequest(endpoint, model, stream=True, usage_wanted=False, n=n, body=asked)


def with_fields(body: bytes, **fields: Any) -> bytes:
    """A body that has been parsed before, with some of its fields set.

    Uses the standard library's json: slower than orjson, but it keeps integers of any size.

    Raises:
        InvalidRequest: The body is nested too deeply, or holds a number beyond a double, and cannot be re-encoded.
    """
    try:
        return json.dumps({**json.loads(body), **fields}, allow_nan=False, separators=(",", ":")).encode()
    except (RecursionError, ValueError) as error:
        raise InvalidRequest(f"The body cannot be passed on: {error}.") from error
