"""Cross-origin requests: which pages of other sites may read answers. None, unless their origin is named."""

from collections.abc import Collection

from gateway.asgi import Header, Message, Scope, Send, header
from gateway.errors import Forbidden

# What a page may read of an answer besides its body.
_EXPOSED = ", ".join(
    (
        "x-request-id", "retry-after", "x-cost-usd", "x-should-retry", "www-authenticate",
        *(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")),
    )
).encode()  # fmt: skip
# Seconds for which a browser may keep an answer to a preflight; Chromium takes no more.
_MAX_AGE = b"7200"


class Cors:
    """The origins whose pages may read answers. Nothing is allowed by cookies: a page sends its key itself.

    Args:
        origins: As browsers send them: `https://app.example.com`, without a path.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def opened(self, scope: Scope, send: Send) -> Send:
        """`send` that adds what lets the page read the answer; the same one where no page asks, or one of elsewhere."""
        if not self._origins:
            return send
        origin = header(scope, b"origin")
        added: list[Header] = [(b"vary", b"origin")]
        if origin in self._origins:
            added += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED)]

        async def opened(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        return opened

    def preflight(self, scope: Scope, methods: str) -> list[Header] | None:
        """The headers of the answer to a preflight; None where the request is none.

        Args:
            scope: The request's.
            methods: What the path takes.

        Raises:
            Forbidden: Pages of this origin may not ask.
        """
        if scope["method"] != "OPTIONS":
            return None
        origin, method = header(scope, b"origin"), header(scope, b"access-control-request-method")
        if origin is None or method is None:
            return None
        if origin not in self._origins:
            raise Forbidden(
                "Pages of this origin may not call the gateway. Whoever runs it names those that may in CORS_ORIGINS.",
                code="origin_not_allowed",
            )
        asked = header(scope, b"access-control-request-headers")
        return [
            (b"access-control-allow-methods", methods.encode()),
            *([(b"access-control-allow-headers", asked)] if asked else []),
            (b"access-control-max-age", _MAX_AGE),
        ]
