"""Compares the cases with what the gateway declares that it counts: whatever is new there needs a case here."""

from typing import get_args

import pytest
from prometheus_client import CollectorRegistry
from tests.integration.ledger.disruptions import ejections
from tests.integration.ledger.request_case import RequestCase
from tests.integration.ledger.request_cases import ALL

from gateway.dialects import ENDPOINTS
from gateway.errors import ATTEMPT_RESULTS, ENGINE_PHASES, KEY_REFUSALS, GatewayError, Outcome
from gateway.telemetry.endings import KNOWN_MODEL, KNOWN_MODEL_STREAM, NO_MODEL, UNKNOWN_MODEL, WASTED_OUTCOMES, Ending
from gateway.telemetry.initial_series import TOKEN_TYPES
from gateway.telemetry.metrics import Metrics

# Outcomes with which no request can end yet. `test_an_outcome_without_a_case_cannot_happen` fails once one does.
NOT_YET: frozenset[Outcome] = frozenset()
# What happens before a request is read: tests/unit/gateway/server/test_connection.py.
BEFORE_REQUESTS = {"queue_full"}
# A bug in the gateway cannot be provoked from outside: tests/unit/gateway/test_relay.py has it.
GATEWAY_BUG: Ending = ("internal_error", "500")
# Sent by test_initial_series.py only.
SENT_ELSEWHERE: set[Ending] = {("client_error", "404"), ("client_error", "413")}
# Tested elsewhere, or different in every run.
TESTED_ELSEWHERE = {
    "gateway_inflight_requests": "a gauge: checked before and after each kill, and 0 at the end (disruptions, setups)",
    "gateway_process_cpu_seconds": "time, not requests: tests/unit/gateway/telemetry/test_process.py",
    "gateway_process_resident_memory_bytes": "a gauge: as above",
    "gateway_build_info": "a gauge: as above",
    **dict.fromkeys(
        ("gateway_engine_probes", "gateway_engine_probe_tokens"), "not requests: tests/integration/test_probes.py"
    ),
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
    assert NOT_YET.isdisjoint({outcome for outcome, _ in (*KNOWN_MODEL_STREAM, *NO_MODEL, *UNKNOWN_MODEL)})


def test_every_timeout_auth_failure_and_result_has_a_case() -> None:
    assert {case.phase for case in ALL if case.phase} == set(ENGINE_PHASES)
    assert {case.auth_failure for case in ALL if case.auth_failure} == set(KEY_REFUSALS)
    # `error` is a bug in the gateway, as above.
    assert {result for case in ALL for _, result in case.attempts} | {"error"} == set(ATTEMPT_RESULTS)


def test_every_token_type_and_reason_for_waste_has_a_case() -> None:
    increased = _increased("gateway_tokens_total")
    assert {labels["type"] for labels in increased} == set(TOKEN_TYPES)
    wasted = {labels["reason"] for labels in _increased("gateway_wasted_tokens_total")}
    # A plain response of llama.cpp that is cut by a shutdown or a timeout wastes a number that no test can predict.
    assert wasted | {"internal_error"} == set(WASTED_OUTCOMES)


@pytest.mark.parametrize(
    ("stream", "declared"), [(False, KNOWN_MODEL), (True, KNOWN_MODEL_STREAM)], ids=["plain", "stream"]
)
def test_every_ending_with_a_known_model_has_a_case_and_no_case_has_another(
    *, stream: bool, declared: tuple[Ending, ...]
) -> None:
    relayed = [case for case in ALL if case.model not in {"none", "other"} and case.route in ENDPOINTS]
    found = {(case.outcome, str(case.code)) for case in relayed if case.stream is stream}
    assert found <= set(declared)
    # A plain request and a stream can fail alike, so either will do.
    either = {(case.outcome, str(case.code)) for case in relayed}
    assert set(declared) - either == {GATEWAY_BUG, *SENT_ELSEWHERE}


@pytest.mark.parametrize(("model", "declared"), [("none", NO_MODEL), ("other", UNKNOWN_MODEL)])
def test_no_case_without_a_known_model_has_an_ending_that_is_not_declared(
    model: str, declared: tuple[Ending, ...]
) -> None:
    cases = [case for case in ALL if case.model == model and case.route in ENDPOINTS and not case.label]
    assert {(case.outcome, str(case.code)) for case in cases} <= set(declared)


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
