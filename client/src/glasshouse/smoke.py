"""Two real chats, one streamed and one plain, measured where a client is."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glasshouse.api import Api, error_message
from glasshouse.errors import ApiError
from glasshouse.files import ownership_hint

_QUESTION = "What is Glasshouse?"
_INDENT = " " * 10
_MAX_TOKENS = 128
_SILENCE_S = 120.0  # a large model on a busy machine may need that long for a plain answer


@dataclass(frozen=True, slots=True)
class Target:
    """What to test: the API's address, the key's file, and the certificate to trust, unless the system trusts it."""

    url: str
    key_file: Path
    certificate: Path | None


@dataclass(frozen=True, slots=True)
class Chat:
    """An answer and how fast it came; durations in seconds.

    Attributes:
        text: the answer.
        tokens: its length, by the API's own count.
        seconds: from the request to the end.
        ttft_seconds: from the request to the first token; None where the answer is not streamed.
        pieces: in how many pieces a streamed answer came; None where it is not.
        tokens_per_second: None where a stream has only one piece.
    """

    text: str
    tokens: int
    seconds: float
    ttft_seconds: float | None
    pieces: int | None
    tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """Both chats with one model."""

    url: str
    model: str
    streamed: Chat
    plain: Chat


def run(target: Target) -> None:
    """Sends both chats and prints answers and figures, each as it comes.

    Raises:
        ApiError: Something is not as it should be; the text says what, and where to look.
    """

    def write(text: str) -> None:
        print(text, end="", flush=True)

    measure(target, write)


def measure(target: Target, write: Callable[[str], None]) -> Result:
    """Sends both chats.

    Args:
        target: what to test.
        write: gets the report piece by piece, as a person reads it.

    Raises:
        ApiError: Something is not as it should be; the text says what, and where to look.
    """
    try:
        key = target.key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ApiError(
            f"The key file {target.key_file} cannot be read: {error}."
            f"{ownership_hint(error) or ' A start creates it: make up'}"
        ) from error
    with Api(target.url, certificate=target.certificate, key=key, timeout=_SILENCE_S) as api:
        model = api.first_model()
        write(f"{model} at {api.url}/v1\n")
        return Result(f"{api.url}/v1", model, _streamed(api, model, write), _plain(api, model, write))


def _body(model: str, *, stream: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": _QUESTION}],
        "max_tokens": _MAX_TOKENS,
        "temperature": 0,
        "stream": stream,
    }
    if stream:
        body["stream_options"] = {"include_usage": True}
    return body


def _streamed(api: Api, model: str, write: Callable[[str], None]) -> Chat:
    write(f"\nstreamed  {_QUESTION}\n{_INDENT}")
    began = time.perf_counter()
    first = last = 0.0
    usage: Any = None
    pieces: list[str] = []
    for event in _events(api.stream("/v1/chat/completions", _body(model, stream=True))):
        usage = event.get("usage") or usage
        piece = _piece(event)
        if piece:
            last = time.perf_counter()
            first = first or last
            pieces.append(piece)
            write(piece.replace("\n", f"\n{_INDENT}"))
    write("\n")
    seconds = time.perf_counter() - began
    text = "".join(pieces)
    tokens = _tokens(usage, text, "streamed")
    # The first token's own time is TTFT; the rest came in the time between the first piece and the last.
    rate = (tokens - 1) / (last - first) if tokens > 1 and last > first else None
    speed = f", then {rate:.0f} tokens/s" if rate else ""
    count = f"{len(pieces)} piece{'s' if len(pieces) > 1 else ''}"
    write(f"{_INDENT}[{tokens} tokens in {count}, TTFT {(first - began) * 1000:.0f} ms{speed}]\n")
    return Chat(text, tokens, seconds, first - began, len(pieces), rate)


def _plain(api: Api, model: str, write: Callable[[str], None]) -> Chat:
    write(f"\nplain     {_QUESTION}\n")
    began = time.perf_counter()
    answer = api.post("/v1/chat/completions", _body(model, stream=False)).checked()
    seconds = time.perf_counter() - began
    try:
        text = str(answer["choices"][0]["message"]["content"] or "")
    except (KeyError, IndexError, TypeError) as error:
        raise ApiError(f"The plain answer does not have OpenAI's shape: {str(answer)[:200]}") from error
    tokens = _tokens(answer.get("usage"), text, "plain")
    write(_INDENT + text.replace("\n", f"\n{_INDENT}") + "\n")
    write(f"{_INDENT}[{tokens} tokens in {seconds * 1000:.0f} ms, {tokens / seconds:.0f} tokens/s]\n")
    return Chat(text, tokens, seconds, None, None, tokens / seconds)


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The stream's events up to `[DONE]`.

    Raises:
        ApiError: The stream holds an error, something other than a JSON object, or ends without `[DONE]`.
    """
    done = False
    for line in lines:  # read to the end, also after [DONE]: only then can the connection be reused
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            done = True
            continue
        try:
            event = json.loads(data)
        except ValueError as error:
            raise ApiError(f"The stream holds something other than JSON: {data[:200]}") from error
        if not isinstance(event, dict) or "error" in event:
            raise ApiError(f"The stream broke: {error_message(event) or data[:200]}")
        yield event
    if not done:
        raise ApiError("The stream ended without [DONE]. See the log: make logs SERVICE=gateway")


def _piece(event: dict[str, Any]) -> str:
    choices = event.get("choices") or [{}]
    return str((choices[0].get("delta") or {}).get("content") or "")


def _tokens(usage: Any, text: str, which: str) -> int:
    """The number of answered tokens by the API's own count."""
    if not text.strip():
        raise ApiError(f"The {which} answer is empty.")
    if (
        not isinstance(usage, dict)
        or not isinstance(usage.get("completion_tokens"), int)
        or usage["completion_tokens"] < 1
    ):
        raise ApiError(f"The {which} answer came without usage, so tokens cannot be counted.")
    return int(usage["completion_tokens"])
