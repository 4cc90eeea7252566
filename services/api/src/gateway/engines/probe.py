"""The one-token probe: whether an engine really generates, or embeds."""

from collections.abc import Callable

import orjson

from gateway.dialects.openai.answer import parse_usage
from gateway.errors import EngineBadResponse, EngineError, ProbeResult
from gateway.upstream import Upstream
from gateway.usage import Usage

_OK = 200
# The statuses with which an engine says that it does not have an endpoint.
NOT_OFFERED = frozenset({400, 404, 405, 501})
# Well above the size of any response to a probe, in bytes.
_MAX_RESPONSE_BYTES = 1_048_576
_MAX_ECHO = 200

_COMPLETION = (b"/v1/completions", "prompt", b"choices")
_EMBEDDING = (b"/v1/embeddings", "input", b"embedding")


class Probe:
    """Probes one engine, starting with the endpoint that worked last.

    Args:
        upstream: The HTTP client to it.
        report: Called with the result of each request to it, and its tokens where the engine has counted them. One that
            is cut short by its caller is the caller's to report.
    """

    def __init__(self, upstream: Upstream, report: Callable[[ProbeResult, Usage | None], None]) -> None:
        self._upstream = upstream
        self._report = report
        self._kind = _COMPLETION

    async def run(self, model: str) -> None:
        """Has the engine generate one token, or one embedding if it only embeds.

        Raises:
            EngineError: It did not.
            OutOfResources: The gateway had no resources left to ask it.
        """
        for kind in (self._kind, *(other for other in (_COMPLETION, _EMBEDDING) if other != self._kind)):
            path, field, result = kind
            body = orjson.dumps({"model": model, field: "1", **({"max_tokens": 1} if field == "prompt" else {})})
            try:
                status, answer = await self._upstream.fetch(b"POST", path, body, limit=_MAX_RESPONSE_BYTES)
            except EngineError:
                self._report("failed", None)
                raise
            if status == _OK and b'"%b"' % result in answer:
                self._kind = kind
                self._report("ok", _usage(answer))
                return
            if status not in NOT_OFFERED:
                self._report("failed", None)
                break
            self._report("rejected", None)
        raise EngineBadResponse(f"the one-token probe got {status}: {answer[:_MAX_ECHO].decode('utf-8', 'replace')}")


def _usage(answer: bytes) -> Usage | None:
    try:
        content = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    return parse_usage(content.get("usage")) if isinstance(content, dict) else None
