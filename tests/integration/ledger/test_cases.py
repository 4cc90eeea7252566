"""The ledger's cases against what the gateway says that it counts: what is new there needs a case here."""

from typing import get_args

from prometheus_client import CollectorRegistry
from tests.integration.ledger.acts import ejections
from tests.integration.ledger.case import Case
from tests.integration.ledger.cases import ALL

from gateway.dialects import ENDPOINTS
from gateway.errors import ATTEMPT_RESULTS, ENGINE_PHASES, KEY_REFUSALS, GatewayError, Outcome
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recorder import _PREDECLARED, _TOKEN_TYPES, _WASTED_OUTCOMES

# What nothing can end with yet. `test_what_is_not_there_yet_is_not_there` fails once something does.
NOT_YET: frozenset[Outcome] = frozenset()
# What comes before any request is read: tests/unit/gateway/server/test_connection.py.
BEFORE_REQUESTS = {"queue_full"}
# A fault of the gateway's own cannot be asked for from outside: tests/unit/gateway/test_relay.py has it.
OWN_FAULT = ("internal_error", "500")
# Counted, and held to the truth elsewhere, or never the same twice.
ELSEWHERE = {
    "gateway_inflight_requests": "a gauge: in flight before each kill and behind it, and 0 at the end (acts, stage)",
    "gateway_worker_up": "a gauge: waited for behind each kill (workers)",
    "gateway_workers_expected": "a gauge: a setting",
    "gateway_engine_model": "a gauge: tests/unit/gateway/telemetry/test_series.py",
    "gateway_engine_state": "a gauge: tests/integration/test_engine_loss.py",
    "gateway_event_loop_lag_seconds": "time, not requests",
    "gateway_hourly_price_usd": "a gauge: a setting",
    **dict.fromkeys(
        (
            *("gateway_cost_usd", "gateway_model_cost_usd", "gateway_key_cost_usd"),
            "gateway_output_equivalent_tokens",
        ),
        "dollars: held against hours x price by tests/integration/test_cost.py; none here, where no price is set",
    ),
    "gateway_log_lines_lost": "needs a reader that stops: tests/integration/test_logs.py",
    "gateway_label_overflow": "needs more models or keys than there is room for: test_recorder.py",
}


def test_every_outcome_has_a_case() -> None:
    assert {case.outcome for case in ALL} | NOT_YET | BEFORE_REQUESTS == set(get_args(Outcome))


def test_what_is_not_there_yet_is_not_there() -> None:
    assert NOT_YET.isdisjoint({error.outcome for error in _tree(GatewayError)})
    assert NOT_YET.isdisjoint({outcome for outcome, _ in _PREDECLARED})


def test_every_timeout_refusal_and_result_has_a_case() -> None:
    assert {case.phase for case in ALL if case.phase} == set(ENGINE_PHASES)
    assert {case.refusal for case in ALL if case.refusal} == set(KEY_REFUSALS)
    # `error` is a fault of the gateway's own, as above.
    assert {result for case in ALL for _, result in case.attempts} | {"error"} == set(ATTEMPT_RESULTS)


def test_every_kind_of_token_and_of_waste_has_a_case() -> None:
    moved = _moved("gateway_tokens_total")
    assert {labels["type"] for labels in moved} == set(_TOKEN_TYPES)
    wasted = {labels["reason"] for labels in _moved("gateway_wasted_tokens_total")}
    # A plain answer of llama.cpp's that is cut by a stop, or by time, wastes at no point that a test can name.
    assert wasted | {"internal_error"} == set(_WASTED_OUTCOMES)


def test_every_pair_that_exists_at_zero_has_a_case_and_no_case_has_another() -> None:
    """Beside an engine's own 4xx, which may be any."""
    counted = {
        (case.outcome, str(case.code))
        for case in ALL
        if case.model not in {"none", "other"} and case.route in ENDPOINTS
    }
    others = {(outcome, code) for outcome, code in counted if outcome == "client_error" and code not in {"400", "200"}}
    assert counted - others | {OWN_FAULT} == set(_PREDECLARED)


def test_every_relayed_path_has_a_case_that_works() -> None:
    assert {case.route for case in ALL if case.outcome == "ok" and case.route in ENDPOINTS} == set(ENDPOINTS)


def test_every_metric_is_moved_by_a_case_or_says_where_else_it_is_held_to_the_truth() -> None:
    metrics = {metric._name for metric in vars(Metrics(CollectorRegistry())).values()}
    names = {name for case in ALL for (name, _), count in case.entries(case.said or 1) if count}
    names.add(ejections("left", 1)[0][0])
    moved = {name.removesuffix("_total").removesuffix("_count") for name in names}
    assert moved | set(ELSEWHERE) == metrics
    assert moved.isdisjoint(ELSEWHERE)


def _moved(metric: str) -> list[dict[str, str]]:
    return [dict(labels) for case in ALL for (name, labels), count in _entries(case) if name == metric and count]


def _entries(case: Case) -> list[tuple[tuple[str, tuple[tuple[str, str], ...]], int]]:
    return list(case.entries(case.said or 0))


def _tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in _tree(below))]
