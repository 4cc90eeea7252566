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
# Where there is a sample a minute, of the four that are in a window of five.
_EXTRAPOLATED_COARSE = 0.1
# A counter that began anew is extrapolated less than others in its first minutes: of what comes then, and of a range.
_BEGAN_ANEW, _BEGAN_ANEW_IN_HOUR = 0.005, 0.02
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


def _added_up(measure: Measure, window: Window, near: float, near_of: Measure | None) -> Compared:
    # Windows of five minutes, each minute: a token is in five of them, and some of these may lie outside.
    return Compared(
        measure, window, recorded=True, tolerance=_EXTRAPOLATED, coarse=_EXTRAPOLATED_COARSE, near=near,
        near_of=near_of, late=_WINDOW_S,
    )  # fmt: skip


def _residual(quantity: str) -> Compared:
    parts = {
        "probe": _engines(quantity, PROBE), "unfinished": _unfinished(quantity), "direct": _engines(quantity, DIRECT),
    }  # fmt: skip
    nothing = m.never()
    return Compared(
        combined.split("cause", {cause: parts.get(cause, nothing) for cause in _CAUSES}),
        _WINDOW_S, recorded=True, near_of=_engines(quantity), extrapolated=_WINDOW_S,
    )  # fmt: skip


_ENGINES = {quantity: _engines(quantity) for quantity in _QUANTITIES}
_DRIFT = {quantity: m.ratio(_engines(quantity, DIRECT), each) for quantity, each in _ENGINES.items()}
_ALL = _each(_ENGINES)
RECONCILIATION: Table = {
    ("Drift", "{{of}}"): _added_up(_each(_DRIFT), HOUR, _BEGAN_ANEW_IN_HOUR, None),
    ("Token reconciliation", "Engines"): _added_up(_ALL, "range", _BEGAN_ANEW, _ALL),
    ("Token reconciliation", "Gateways"): _added_up(
        _each({quantity: _gateways(quantity) for quantity in _QUANTITIES}), "range", _BEGAN_ANEW, _ALL
    ),
    ("Token reconciliation", "Discarded"): _added_up(
        _each({"output": _unfinished("output"), "input": _unfinished("input")}), "range", _BEGAN_ANEW, _ALL
    ),
    ("Token reconciliation", "Drift"): _added_up(_each(_DRIFT), "range", _BEGAN_ANEW, None),
    ("Output token residual by cause", "{{cause}}"): _residual("output"),
    ("Input token residual by cause", "{{cause}}"): _residual("input"),
}
