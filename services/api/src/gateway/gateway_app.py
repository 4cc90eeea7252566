"""The outermost layer: every request is observed from its first byte to its last, whoever serves it."""

import asyncio
from collections.abc import Mapping

from loguru import logger

from gateway.cors import Cors
from gateway.deadline import cancellation_handled
from gateway.dialects.base import Dialect, Endpoint
from gateway.errors import GatewayError
from gateway.exchange import REFUSED, App, Exchange, Receive, Scope, Send, request_id
from gateway.relay import Relay
from gateway.telemetry.recorder import Recorder

# Polled every few seconds by load balancers and containers: counted, but not worth a log line each.
HEALTH_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/health"})
_OK = 200


class GatewayApp:
    """Sends relayed paths straight to the relay and all others to FastAPI. Whatever fails is answered here.

    Args:
        endpoints: The relayed paths: an allow-list.
        dialect: Errors on all other paths have its shape.
        relay: Serves the relayed paths.
        fallback: The rest of the API, and the lifespan.
        recorder: Where each request is counted and logged when it ends.
        cors: Which pages of other sites may read the answers.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        dialect: Dialect,
        relay: Relay,
        fallback: App,
        recorder: Recorder,
        cors: Cors,
    ) -> None:
        self._endpoints = endpoints
        self._dialect = dialect
        self._relay = relay
        self._fallback = fallback
        self._recorder = recorder
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] not in {"http", REFUSED}:
            await self._fallback(scope, receive, send)
            return
        path: str = scope["path"]
        endpoint = self._endpoints.get(path)
        # Until a route is known to match, the path is the client's text, and must not become a label.
        observation = self._recorder.begin(
            request_id(scope), endpoint.path if endpoint else "other", log=path not in HEALTH_PATHS
        )
        dialect = endpoint.dialect if endpoint else self._dialect
        exchange = Exchange(scope, receive, send, observation, dialect)
        try:
            try:
                if scope["type"] == REFUSED:  # the server could not read it, or does not accept it
                    raise scope["error"]  # noqa: TRY301 - one place answers all errors
                self._cors.open(exchange)
                if exchange.method == "OPTIONS" and await self._preflight(endpoint, exchange):
                    pass
                elif endpoint is not None:
                    await self._relay.serve(endpoint, exchange)
                else:
                    await exchange.delegate(self._fallback)
            except GatewayError as error:
                observation.error = error
            except asyncio.CancelledError:
                cancellation_handled()
                observation.error = await exchange.cancellation_reason()
            except Exception:  # noqa: BLE001 - the last resort: whatever it is, the client gets an answer
                logger.exception("request {} failed inside the gateway", observation.request_id)
                observation.error = GatewayError.unexpected(observation.request_id)
            if observation.error is not None:  # also one that the fallback has left unanswered
                await exchange.fail(observation.error)
        finally:
            observation.finish()

    async def _preflight(self, endpoint: Endpoint | None, exchange: Exchange) -> bool:
        """Answers a browser's preflight request; False if the request is not one.

        Raises:
            Forbidden: Pages of its origin may not call.
        """
        headers = self._cors.preflight(exchange, "GET, HEAD, OPTIONS" if endpoint is None else "POST, OPTIONS")
        if headers is None:
            return False
        await exchange.write_head(_OK, [*headers, (b"content-length", b"0")])
        await exchange.end()
        return True
