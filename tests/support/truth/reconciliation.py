"""What the reconciliation's queries should show."""

from tests.support.truth import amounts as a
from tests.support.truth import combined
from tests.support.truth import engine_amounts as e
from tests.support.truth import measures as m
from tests.support.truth.comparison import Compared, Window
from tests.support.truth.engine_traffic import DIRECT, PROBE
from tests.support.truth.measures import Measure
from tests.support.truth.overview import HOUR, Table
from tests.support.truth.traffic import MINUTE, Request

_WINDOW_S = 5 * MINUTE
# What `increase` makes of the scrape that is missing in a window.
_EXTRAPOLATED = 0.035
# It extrapolates a counter that has just begun a little less than others: of tokens, and of shares.
_NEAR, _NEAR_SHARE = 0.1, 1e-4
_QUANTITIES = {"output": "Output tokens", "input": "Input tokens", "requests": "Requests (vLLM)"}
_CAUSES = ("probe", "unfinished", "retry", "restart", "direct", "unattributed")


def _engines(quantity: str, route: str = "") -> Measure:
    """What engines count: of all, or only of what came by a route."""

    def counted(request: Request) -> bool:
        return route in ("", request.route) and (quantity != "requests" or e.vllm(request))

    of = {"output": e.generated, "input": e.prompted, "requests": e.finished}[quantity]
    return combined.at_engines(m.total(counted, of))


def _gateways(quantity: str) -> Measure:
    if quantity == "requests":
        return m.total(lambda request: request.tokens is not None and e.vllm(request))
    return m.total(amount=a.tokens(quantity))


def _unfinished(quantity: str) -> Measure:
    """What engines count of streams that were broken off."""
    of = e.generated if quantity == "output" else e.prompted
    return combined.at_engines(m.total(lambda request: request.tokens is None, of))


def _each(measure: dict[str, Measure]) -> Measure:
    return combined.split("of", {_QUANTITIES[quantity]: each for quantity, each in measure.items()})


def _added_up(measure: Measure, window: Window, near: float = _NEAR) -> Compared:
    # Windows of five minutes, each minute: a token is in five of them, and some of these may lie outside.
    return Compared(measure, window, recorded=True, tolerance=_EXTRAPOLATED, near=near, late=_WINDOW_S)


def _residual(quantity: str) -> Compared:
    parts = {
        "probe": _engines(quantity, PROBE), "unfinished": _unfinished(quantity), "direct": _engines(quantity, DIRECT),
    }  # fmt: skip
    nothing = m.never()
    return Compared(
        combined.split("cause", {cause: parts.get(cause, nothing) for cause in _CAUSES}),
        _WINDOW_S, recorded=True, near=_NEAR, extrapolated=_WINDOW_S,
    )  # fmt: skip


_ENGINES = {quantity: _engines(quantity) for quantity in _QUANTITIES}
_DRIFT = {quantity: m.ratio(_engines(quantity, DIRECT), each) for quantity, each in _ENGINES.items()}
RECONCILIATION: Table = {
    ("Drift", "{{of}}"): _added_up(_each(_DRIFT), HOUR, _NEAR_SHARE),
    ("Token reconciliation", "Engines"): _added_up(_each(_ENGINES), "range"),
    ("Token reconciliation", "Gateways"): _added_up(
        _each({quantity: _gateways(quantity) for quantity in _QUANTITIES}), "range"
    ),
    ("Token reconciliation", "Discarded"): _added_up(
        _each({"output": _unfinished("output"), "input": _unfinished("input")}), "range"
    ),
    ("Token reconciliation", "Drift"): _added_up(_each(_DRIFT), "range", _NEAR_SHARE),
    ("Output token residual by cause", "{{cause}}"): _residual("output"),
    ("Input token residual by cause", "{{cause}}"): _residual("input"),
}
