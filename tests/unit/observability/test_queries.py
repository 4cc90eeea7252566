import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.unit.observability.generated_files import (
    OF_PROMETHEUS_ITSELF,
    dashboard_files,
    expressions,
    filled_in,
    golden,
    goldens,
    job_of,
)

from gateway import gateway_app
from gateway.telemetry import metrics
from observability import promql, recording, settings
from observability.promql import Scope
from observability.queries import gateway

_SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_EXPORTED = {part: golden(part) for part in goldens()}


def selectors() -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    return [
        (who, name, _MATCHER.findall(matchers))
        for who, expression in expressions().items()
        for name, matchers in _SELECTOR.findall(expression)
    ]


def test_every_metric_is_exported_by_the_job_that_is_asked() -> None:
    for who, name, matchers in selectors():
        if name in recording.series():
            assert not matchers, f"{who}: {name} has no labels"
            continue
        assert matchers, f"{who}: {name} is asked of every job"
        label, operator, job = matchers[0]
        assert label == "job", f"{who}: {name} does not match job first"
        if name in OF_PROMETHEUS_ITSELF:
            continue
        asked = [
            part for part in _EXPORTED if job_of(part) == job or (operator == "=~" and re.fullmatch(job, job_of(part)))
        ]
        assert asked, f"{who}: there is no scrape of {job}"
        assert all(name in _EXPORTED[known] for known in asked), f"{who}: {job} does not export {name}"


def test_every_label_and_value_that_is_matched_exists() -> None:
    unseen_yet = {"queue_full"}  # an outcome of the request queue, which is not there yet
    for who, name, matchers in selectors():
        for label, operator, value in matchers[1:]:
            if label in {"instance", "vm"}:  # given by Prometheus
                continue
            known = next((metrics[name] for metrics in _EXPORTED.values() if name in metrics), dict[str, set[str]]())
            assert label in known, f"{who}: {name} has no label {label}"
            if value == ".*" or operator == "!~":
                continue
            for wanted in value.split("|") if operator == "=~" else [value]:
                assert wanted in known[label] | unseen_yet, f"{who}: {name}{{{label}}} is never {wanted}"


def test_what_is_grouped_by_is_a_label_of_what_is_summed() -> None:
    for who, expression in expressions().items():
        grouped = {label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(", ")}
        names = promql.metric_names(expression)
        known = {"job", "instance", "vm"} | {
            label for metrics in _EXPORTED.values() for name in names for label in metrics.get(name, {})
        }
        renamed = {"model"} if "label_replace" in expression else set()
        assert grouped <= known | renamed, f"{who}: {grouped - known}"


def test_no_metric_is_asked_for_without_matchers() -> None:
    words = {
        *("sum", "min", "max", "count", "by", "on", "or", "and", "unless", "rate", "increase", "group_left", "resets"),
        *("histogram_quantile", "label_replace", "absent", "vector", "time", "sum_over_time", "min_over_time"),
        *("max_over_time", "avg_over_time", "count_over_time", "predict_linear", "round", "clamp_min"),
    }
    for who, expression in expressions().items():
        bare = re.sub(r'"[^"]*"', "", re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)|on \([^)]*\)", "", expression))
        named = set(re.findall(r"[A-Za-z_:][\w:]*", bare))
        assert named - words == set(promql.metric_names(expression)), who


def test_every_denominator_is_above_zero() -> None:
    for who, expression in expressions().items():
        for match in re.finditer(r" / (?!\d)(?:on \(\) group_left \(\) )?", expression):
            divisor = _bracketed(expression[match.end() :])
            assert divisor.endswith("> 0)"), f"{who}: divides by {divisor}"


def _bracketed(text: str) -> str:
    assert text.startswith("("), text
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[: at + 1]
    raise AssertionError(text)


def test_a_filter_takes_the_name_that_the_metric_has_for_it() -> None:
    scope = Scope("1m", {"model": "$model", "engine": "$engine"})
    assert scope.series("m", "j", 'a="b"', model="model_name") == 'm{job="j", a="b", model_name=~"$model"}'
    assert Scope("1m").series("m", "j", model="model_name") == 'm{job="j"}'


def test_the_states_of_engines_are_those_that_the_gateway_has() -> None:
    assert set(gateway.ENGINE_STATES) == _EXPORTED["gateway"]["gateway_engine_state"]["state"]


def test_what_is_no_request_is_what_the_gateway_calls_a_health_check() -> None:
    assert set(settings.HEALTH_ROUTES) == gateway_app.HEALTH_PATHS
    for who, name, matchers in selectors():
        if name in {"gateway_requests_total", "gateway_request_duration_seconds_bucket"} and "Lost with" not in who:
            assert any(label == "route" and operator == "!~" for label, operator, _ in matchers), who


def test_limits_of_latency_are_bounds_of_buckets() -> None:
    for limit in (settings.TTFT_P95_GOOD_SECONDS, settings.TTFT_P95_LIMIT_SECONDS, settings.TTFT_SLOW_SECONDS):
        assert limit in metrics.TTFT_BUCKETS
    for limit in (settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS):
        assert limit in metrics.TPOT_BUCKETS


def test_a_bound_is_written_as_it_is_exposed() -> None:
    asked = {
        (name, value) for _, name, matchers in selectors() for label, _, value in matchers if label == "le"
    }  # fmt: skip
    exposed = {str(bound) for bound in metrics.TTFT_BUCKETS}
    assert asked
    assert {name for name, _ in asked} == {"gateway_time_to_first_token_seconds_bucket"}
    assert {value for _, value in asked} <= exposed


def test_the_variables_ask_for_labels_that_exist() -> None:
    for dashboard in dashboard_files():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] != "query":
                continue
            name, job, label = re.fullmatch(
                r'label_values\((\w+)\{job=~?"([^"]+)"(?:, vm=~"\$vm")?\}, (\w+)\)', variable["definition"]
            ).groups()  # type: ignore[union-attr]  # None fails the test as well
            assert label in {"instance", "vm"} or label in _EXPORTED[job][name]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(expressions().values())]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_variable_of_grafana_is_left_unknown() -> None:
    for who, expression in expressions().items():
        assert not re.search(r"\$(?!1\b)", filled_in(expression)), who
