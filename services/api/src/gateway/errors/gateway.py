"""Errors that are neither the client's fault nor an engine's."""

from gateway.errors.base import GatewayError


class ClientDisconnected(GatewayError):
    """The client closed its connection; counted as 499 where no status had been sent."""

    status = 499
    outcome = "cancelled"
    code = "client_closed_request"


class TooManyConnections(GatewayError):
    """503: the maximum number of clients is connected."""

    status = 503
    type = "service_unavailable"
    outcome = "queue_full"
    should_retry = True
    code = "too_many_connections"


class TooManyUploads(GatewayError):
    """503: large bodies that are still arriving fill the memory reserved for them."""

    status = 503
    type = "service_unavailable"
    outcome = "queue_full"
    should_retry = True
    code = "too_many_uploads"


class OutOfResources(GatewayError):
    """503: the gateway itself has no descriptors or memory left; no engine is to blame."""

    status = 503
    type = "service_unavailable"
    should_retry = True
    code = "gateway_overloaded"


class ShuttingDown(GatewayError):
    """503: the worker was told to stop, and its grace period ran out with the request unfinished."""

    status = 503
    type = "service_unavailable"
    should_retry = True
    code = "shutting_down"
