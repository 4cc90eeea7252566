"""Compares the cases with what the gateway declares that it counts: whatever is new there needs a case here."""

from typing import get_args

from prometheus_client import CollectorRegistry
from tests.integration.ledger.disruptions import ejections
from tests.integration.ledger.request_case import RequestCase
from tests.integration.ledger.request_cases import ALL

from gateway.dialects import ENDPOINTS
from gateway.errors import ATTEMPT_RESULTS, ENGINE_PHASES, KEY_REFUSALS, GatewayError, Outcome
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recorder import _PREDECLARED, _TOKEN_TYPES, _WASTED_OUTCOMES

# Outcomes with which no request can end yet. `test_an_outcome_without_a_case_cannot_happen` fails once one does.
NOT_YET: frozenset[Outcome] = frozenset()
# What happens before a request is read: tests/unit/gateway/server/test_connection.py.
BEFORE_REQUESTS = {"queue_full"}
# A bug in the gateway cannot be provoked from outside: tests/unit/gateway/test_relay.py has it.
GATEWAY_BUG = ("internal_error", "500")
# Tested elsewhere, or different in every run.
TESTED_ELSEWHERE = {
    "gateway_inflight_requests": "a gauge: checked before and after each kill, and 0 at the end (disruptions, setups)",
    "gateway_worker_up": "a gauge: awaited after each kill (workers)",
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
        "dollars: compared with hours x price by tests/integration/test_cost.py; none here, where no price is set",
    ),
    "gateway_log_lines_lost": "needs a reader that stops: tests/integration/test_logs.py",
    "gateway_label_overflow": "needs more models or keys than there is room for: test_recorder.py",
}


def test_every_outcome_has_a_case() -> None:
    assert {case.outcome for case in ALL} | NOT_YET | BEFORE_REQUESTS == set(get_args(Outcome))


def test_an_outcome_without_a_case_cannot_happen() -> None:
    assert NOT_YET.isdisjoint({error.outcome for error in _tree(GatewayError)})
    assert NOT_YET.isdisjoint({outcome for outcome, _ in _PREDECLARED})


def test_every_timeout_auth_failure_and_result_has_a_case() -> None:
    assert {case.phase for case in ALL if case.phase} == set(ENGINE_PHASES)
    assert {case.auth_failure for case in ALL if case.auth_failure} == set(KEY_REFUSALS)
    # `error` is a bug in the gateway, as above.
    assert {result for case in ALL for _, result in case.attempts} | {"error"} == set(ATTEMPT_RESULTS)


def test_every_token_type_and_reason_for_waste_has_a_case() -> None:
    increased = _increased("gateway_tokens_total")
    assert {labels["type"] for labels in increased} == set(_TOKEN_TYPES)
    wasted = {labels["reason"] for labels in _increased("gateway_wasted_tokens_total")}
    # A plain response of llama.cpp that is cut by a shutdown or a timeout wastes a number that no test can predict.
    assert wasted | {"internal_error"} == set(_WASTED_OUTCOMES)


def test_every_predeclared_outcome_and_code_has_a_case_and_no_case_has_another() -> None:
    """Apart from an engine's own 4xx, which may be any."""
    counted = {
        (case.outcome, str(case.code))
        for case in ALL
        if case.model not in {"none", "other"} and case.route in ENDPOINTS
    }
    others = {(outcome, code) for outcome, code in counted if outcome == "client_error" and code not in {"400", "200"}}
    assert counted - others | {GATEWAY_BUG} == set(_PREDECLARED)


def test_every_relayed_path_has_a_case_that_works() -> None:
    assert {case.route for case in ALL if case.outcome == "ok" and case.route in ENDPOINTS} == set(ENDPOINTS)


def test_every_metric_is_increased_by_a_case_or_tested_elsewhere() -> None:
    catalogue = {metric._name for metric in vars(Metrics(CollectorRegistry())).values()}
    names = {name for case in ALL for (name, _), count in case.entries(case.tokens_received or 1) if count}
    names.add(ejections("left", 1)[0][0])
    increased = {name.removesuffix("_total").removesuffix("_count") for name in names}
    assert increased | set(TESTED_ELSEWHERE) == catalogue
    assert increased.isdisjoint(TESTED_ELSEWHERE)


def _increased(metric: str) -> list[dict[str, str]]:
    return [dict(labels) for case in ALL for (name, labels), count in _entries(case) if name == metric and count]


def _entries(case: RequestCase) -> list[tuple[tuple[str, tuple[tuple[str, str], ...]], int]]:
    return list(case.entries(case.tokens_received or 0))


def _tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in _tree(below))]
