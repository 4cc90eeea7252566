"""The outermost layer: every request is observed from its first byte to its last, whoever serves it."""

import asyncio
from collections.abc import Mapping

from loguru import logger

from gateway.asgi import (
    REFUSED,
    App,
    Message,
    Receive,
    Scope,
    Send,
    abort_connection,
    answer,
    request_id,
    send_error,
    wait_for_disconnect,
)
from gateway.cors import Cors
from gateway.deadline import cancellation_handled
from gateway.dialects.openai.request import Endpoint
from gateway.errors import ClientDisconnected, GatewayError, ShuttingDown
from gateway.relay import Relay
from gateway.telemetry.observation import RequestObservation
from gateway.telemetry.recorder import Recorder

# Asked every few seconds by load balancers and containers: counted, but not worth a log line each.
HEALTH_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/health"})
_OK = 200


class GatewayApp:
    """Sends relayed paths straight to the relay and all others to FastAPI.

    Args:
        endpoints: The relayed paths: an allow-list.
        relay: Serves those.
        rest: The rest of the API, and the lifespan.
        recorder: Where each request is counted and logged when it ends.
        cors: Which pages of other sites may read the answers.
    """

    def __init__(
        self, endpoints: Mapping[str, Endpoint], relay: Relay, rest: App, recorder: Recorder, cors: Cors
    ) -> None:
        self._endpoints = endpoints
        self._relay = relay
        self._rest = rest
        self._recorder = recorder
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            if scope["type"] == REFUSED:
                await self._refuse(scope, send)
            else:
                await self._rest(scope, receive, send)
            return
        path: str = scope["path"]
        endpoint = self._endpoints.get(path)
        # Until a route is known to match, the path is a client's text, and no label.
        observation = self._recorder.begin(
            request_id(scope), endpoint.path if endpoint else "other", log=path not in HEALTH_PATHS
        )
        send = self._cors.opened(scope, send)
        try:
            if scope["method"] == "OPTIONS" and await self._preflight(endpoint, scope, send, observation):
                return
            if endpoint is not None:
                await self._relay.serve(endpoint, scope, receive, send, observation)
            else:
                await self._serve_fallback(scope, receive, send, observation)
        finally:
            observation.finish()

    async def _refuse(self, scope: Scope, send: Send) -> None:
        """Answers what the server could not read, or will not."""
        observation = self._recorder.begin(request_id(scope), "other")
        observation.error = scope["error"]
        try:
            await send_error(send, observation, scope["error"])
        finally:
            observation.finish()

    async def _preflight(
        self, endpoint: Endpoint | None, scope: Scope, send: Send, observation: RequestObservation
    ) -> bool:
        """Answers a browser's question whether a page may ask; False where it is none."""
        try:
            headers = self._cors.preflight(scope, "GET, HEAD, OPTIONS" if endpoint is None else "POST, OPTIONS")
        except GatewayError as error:
            observation.error = error
            await send_error(send, observation, error)
            return True
        if headers is None:
            return False
        await answer(send, observation, _OK, b"", *headers)
        return True

    async def _serve_fallback(
        self, scope: Scope, receive: Receive, send: Send, observation: RequestObservation
    ) -> None:
        name = (b"x-request-id", observation.request_id.encode())

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                observation.status = message["status"]
                message["headers"] = [*message.get("headers", ()), name]
                if (route := scope.get("route")) is not None:
                    observation.route = route.path
            await send(message)

        scope.setdefault("state", {})["observation"] = observation
        if scope["method"] == "HEAD":  # wherever GET works; the server, which has the other scope, leaves the body out
            scope = {**scope, "method": "GET"}
        try:
            await self._rest(scope, receive, observed)
        except ClientDisconnected as gone:
            observation.error = gone
        except asyncio.CancelledError:
            cancellation_handled()
            observation.error = await _why_cancelled(receive)
        except Exception:  # noqa: BLE001 - the last line: whatever it is, the client gets an answer
            logger.exception("request {} failed inside the gateway", observation.request_id)
            observation.error = GatewayError.unexpected(observation.request_id)
        error = observation.error
        if isinstance(error, ClientDisconnected):
            await abort_connection(scope, receive)
        elif error is not None and observation.status is None:
            await send_error(send, observation, error)


async def _why_cancelled(receive: Receive) -> GatewayError:
    """The client has gone, or else the worker stops and its grace is over."""
    try:
        async with asyncio.timeout(0):
            await wait_for_disconnect(receive)
    except TimeoutError:
        return ShuttingDown("The gateway is shutting down. Please try again.", retry_after=1)
    return ClientDisconnected("The client closed the connection.")
