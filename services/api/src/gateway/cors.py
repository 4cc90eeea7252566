"""Cross-origin requests (CORS): which pages of other sites may read answers. None, unless their origin is listed."""

from collections.abc import Collection

from gateway.errors import Forbidden
from gateway.exchange import Exchange, Header

# What a page may read of an answer besides its body.
_EXPOSED = ", ".join(
    (
        "x-request-id", "retry-after", "x-cost-usd", "x-should-retry", "www-authenticate",
        *(f"x-ratelimit-{name}-{unit}" for name in ("limit", "remaining", "reset") for unit in ("requests", "tokens")),
    )
).encode()  # fmt: skip
# Seconds for which a browser may cache the answer to a preflight; Chromium caps it at this.
_MAX_AGE = b"7200"


class Cors:
    """The origins whose pages may read answers. Cookies grant nothing: a page sends its key itself.

    Args:
        origins: As browsers send them: `https://app.example.com`, without a path.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def open(self, exchange: Exchange) -> None:
        """Has the answer say whether the page that asks may read it, where a page of any other site may."""
        if not self._origins:
            return
        exchange.extra_headers.append((b"vary", b"origin"))
        origin = exchange.header(b"origin")
        if origin in self._origins:
            exchange.extra_headers += [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _EXPOSED),
            ]

    def preflight(self, exchange: Exchange, methods: str) -> list[Header] | None:
        """The headers of the answer to a preflight; None where an OPTIONS request is not one.

        Args:
            exchange: The request's.
            methods: What the path takes.

        Raises:
            Forbidden: Pages of this origin may not call.
        """
        origin, method = exchange.header(b"origin"), exchange.header(b"access-control-request-method")
        if origin is None or method is None:
            return None
        if origin not in self._origins:
            raise Forbidden(
                "Pages of this origin may not call the gateway. Its operator lists those that may in CORS_ORIGINS.",
                code="origin_not_allowed",
            )
        requested = exchange.header(b"access-control-request-headers")
        return [
            (b"access-control-allow-methods", methods.encode()),
            *([(b"access-control-allow-headers", requested)] if requested else []),
            (b"access-control-max-age", _MAX_AGE),
        ]
