"""The outermost layer: every request is observed from its first byte to its last, whoever serves it."""

import asyncio
from collections.abc import Mapping

from loguru import logger

from gateway.asgi_exchange import REFUSED, App, AsgiExchange, Receive, Scope, Send
from gateway.cors import Cors
from gateway.deadline import cancellation_handled
from gateway.dialects.base import Dialect, Endpoint
from gateway.errors import GatewayError
from gateway.exchange import Exchange
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

    Attributes:
        relayed: The relayed paths, as they are in a request's target.
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
        self.relayed = {path.encode(): endpoint for path, endpoint in endpoints.items()}
        self._dialect = dialect
        self._relay = relay
        self._fallback = fallback
        self._recorder = recorder
        self._cors = cors

    async def relay(self, exchange: Exchange, endpoint: Endpoint) -> None:
        """Serves a request to a relayed path, to its end."""
        observation = self._recorder.begin(exchange.request_id(), endpoint.path)
        exchange.begin(observation, endpoint.dialect)
        try:
            try:
                self._cors.open(exchange)
                if exchange.method != "OPTIONS" or not await self._preflight(exchange, "POST, OPTIONS"):
                    await self._relay.serve(endpoint, exchange)
            except BaseException as error:  # noqa: BLE001 - the last resort: whatever it is, the client gets an answer
                await self._fail(exchange, error)
        finally:
            exchange.close()
            observation.finish()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification. Serves all that is not relayed."""
        if scope["type"] not in {"http", REFUSED}:
            await self._fallback(scope, receive, send)
            return
        exchange = AsgiExchange(scope, receive, send)
        # Until a route is known to match, the path is the client's text, and must not become a label.
        observation = self._recorder.begin(exchange.request_id(), "other", log=scope["path"] not in HEALTH_PATHS)
        exchange.begin(observation, self._dialect)
        try:
            try:
                if scope["type"] == REFUSED:  # the server could not read it, or does not accept it
                    raise scope["error"]  # noqa: TRY301 - one place answers all errors
                self._cors.open(exchange)
                if exchange.method != "OPTIONS" or not await self._preflight(exchange, "GET, HEAD, OPTIONS"):
                    await exchange.delegate(self._fallback)
                if observation.error is not None:  # one that the fallback has left unanswered
                    await exchange.fail(observation.error)
            except BaseException as error:  # noqa: BLE001 - as above
                await self._fail(exchange, error)
        finally:
            observation.finish()

    async def _fail(self, exchange: Exchange, error: BaseException) -> None:
        """Answers a request that failed; raises what is neither an error nor a cancellation."""
        observation = exchange.observation
        if isinstance(error, GatewayError):
            observation.error = error
        elif isinstance(error, asyncio.CancelledError):
            cancellation_handled()
            observation.error = await exchange.cancellation_reason()
        elif isinstance(error, Exception):
            logger.opt(exception=error).error("request {} failed inside the gateway", observation.request_id)
            observation.error = GatewayError.unexpected(observation.request_id)
        else:
            raise error
        await exchange.fail(observation.error)

    async def _preflight(self, exchange: Exchange, methods: str) -> bool:
        """Answers a browser's preflight request for a path that takes these methods; False if it is not one.

        Raises:
            Forbidden: Pages of its origin may not call.
        """
        headers = self._cors.preflight(exchange, methods)
        if headers is None:
            return False
        await exchange.write_head(_OK, [*headers, (b"content-length", b"0")])
        await exchange.end()
        return True
