"""The outermost layer: every request is observed from its first byte to its last, whoever serves it."""

from collections.abc import Mapping

from loguru import logger

from gateway.asgi import App, Message, Receive, Scope, Send, answer_error, request_id
from gateway.dialects.openai.request import Endpoint
from gateway.errors import ClientGone, GatewayError
from gateway.relay import Relay
from gateway.telemetry.observation import Observation
from gateway.telemetry.recorder import Recorder

# Asked every few seconds by load balancers and containers: counted, but not worth a log line each.
_QUIET = frozenset({"/livez", "/readyz", "/healthz", "/health"})


class Edge:
    """Sends relayed paths straight to the relay and all others to FastAPI.

    Args:
        endpoints: The relayed paths: an allow-list.
        relay: Serves those.
        rest: The rest of the API, and the lifespan.
        recorder: Where each request is counted and logged when it ends.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint], relay: Relay, rest: App, recorder: Recorder) -> None:
        self._endpoints = endpoints
        self._relay = relay
        self._rest = rest
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        path: str = scope["path"]
        endpoint = self._endpoints.get(path)
        # Until a route is known to match, the path is a client's text, and no label.
        observation = self._recorder.begin(
            request_id(scope), endpoint.path if endpoint else "other", quiet=path in _QUIET
        )
        try:
            if endpoint is not None:
                await self._relay.serve(endpoint, scope, receive, send, observation)
            else:
                await self._serve_rest(scope, receive, send, observation)
        finally:
            observation.finish()

    async def _serve_rest(self, scope: Scope, receive: Receive, send: Send, observation: Observation) -> None:
        name = (b"x-request-id", observation.request_id.encode())

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                observation.status = message["status"]
                message["headers"] = [*message.get("headers", ()), name]
                if (route := scope.get("route")) is not None:
                    observation.route = route.path
            await send(message)

        scope.setdefault("state", {})["observation"] = observation
        try:
            await self._rest(scope, receive, observed)
        except ClientGone as error:
            observation.error = error
        except Exception:  # noqa: BLE001 - the last line: whatever it is, the client gets an answer
            logger.exception("request {} failed inside the gateway", observation.request_id)
            observation.error = GatewayError.unexpected(observation.request_id)
            if observation.status is None:
                await answer_error(send, observation, observation.error)
