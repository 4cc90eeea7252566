"""Cycles: what serves one request each. Relayed paths have a cycle of our own, all others uvicorn's."""

import asyncio
from collections.abc import Callable

from gateway.errors import GatewayError
from gateway.exchange import Header
from gateway.server.owner import ConnectionOwner
from gateway.server.relayed import RelayedExchange
from gateway.server.scope import Scopes, parse_target
from gateway.server.uvicorn_internals import Cycle, FlowControl, Output

AnyCycle = Cycle | RelayedExchange


class Cycles:
    """Makes the cycles of one connection.

    Args:
        server: The server that it belongs to.
        transport: The connection's.
        flow: Pauses and resumes it.
        close: Closes it once all that was written has been sent.
        abort: Cuts it.
        ended: Called when an answer is complete.
    """

    def __init__(
        self,
        server: ConnectionOwner,
        transport: asyncio.Transport,
        flow: FlowControl,
        *,
        close: Callable[[], None],
        abort: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._relayed = server.app.relayed
        self._output, self._flow = Output(transport, close), flow
        self._abort, self._ended = abort, ended
        address, client = (transport.get_extra_info(name) for name in ("sockname", "peername"))
        self._scopes = Scopes(address, client, abort, server.state)

    def request(
        self,
        method: str,
        target: bytes,
        version: str,
        headers: list[Header],
        *,
        expects_continue: bool,
        keep_alive: bool,
    ) -> AnyCycle:
        """The cycle of a request.

        Raises:
            MalformedRequest: The target is not a path.
        """
        endpoint = self._relayed.get(target)
        if endpoint is None:
            parsed = parse_target(target)
            endpoint = self._relayed.get(parsed.path.encode())
            if endpoint is None:
                return Cycle(
                    *(self._scopes.request(method, parsed, version, headers), self._output, self._flow),
                    expects_continue=expects_continue, keep_alive=keep_alive, ended=self._ended,
                )  # fmt: skip
        return RelayedExchange(
            *(endpoint, method, headers, self._output, self._flow),
            is_http_1_0=version == "1.0", expects_continue=expects_continue, keep_alive=keep_alive,
            ended=self._ended, abort=self._abort,
        )  # fmt: skip

    def refused(self, error: GatewayError, headers: list[Header]) -> Cycle:
        """The cycle of what cannot be served as a request, with the headers that are known: its answer is the last."""
        return Cycle(
            *(self._scopes.refused(error, headers), self._output, self._flow),
            expects_continue=False, keep_alive=False, ended=self._ended,
        )  # fmt: skip
