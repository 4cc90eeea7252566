"""What engines get beside the requests of clients: the gateways' probes, and requests that bypass the gateways."""

from dataclasses import replace

from tests.support.truth import traffic
from tests.support.truth.traffic import Request

PROBE, DIRECT = "probe", "direct"
_PROBE_S, _PROBE_AFTER_S = 30 * traffic.MINUTE, 27.5 * traffic.MINUTE


def probes(days: float) -> list[Request]:
    """The gateways' probes of every engine: a token in and a token out, twice an hour."""
    start = (traffic.ASKED_AT - days * traffic.DAY) // _PROBE_S * _PROBE_S + _PROBE_AFTER_S
    found = []
    for number in range(int(days * traffic.DAY / _PROBE_S)):
        at = start + number * _PROBE_S
        for engine in traffic.ENGINES:
            request = Request(
                at, at + 0.2, "", engine.model, PROBE, False, "ok", 200, tokens=(1, 1, 0, 0), vm=engine.vm
            )
            if not traffic.is_quiet(request):
                found.append(request)
    return found


def direct(days: float) -> list[Request]:
    """Requests to the remote vLLM that no gateway sees."""
    if days * traffic.DAY < traffic.ASKED_AT - traffic.DIRECT_AT:
        return []
    given, generated = traffic.DIRECT_TOKENS
    request = Request(
        traffic.DIRECT_AT, traffic.DIRECT_AT + 3, "", "large", DIRECT, False, "ok", 200,
        tokens=(given, generated, 0, 0), vm=traffic.REMOTE,
    )  # fmt: skip
    return [replace(request, ended=request.ended + 10 * number) for number in range(traffic.DIRECT)]


def at_engines(days: float) -> list[Request]:
    """Everything that engines worked for, by the time at which it ended."""
    clients = [request for request in traffic.requests(days) if request.engine and (request.tokens or request.events)]
    return sorted([*clients, *probes(days), *direct(days)], key=lambda request: request.ended)
