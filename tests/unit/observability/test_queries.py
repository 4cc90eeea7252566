import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.support.generated_files import (
    RULE_METRICS,
    TARGET_METRICS,
    dashboard_files,
    expressions,
    filled_in,
    golden,
    goldens,
    job_of,
    variants,
)

from gateway import gateway_app
from gateway.telemetry import metrics
from observability import downsampling, promql, recording, settings, variables
from observability.missing_metrics import parse_exposition
from observability.queries import events, slo
from observability.queries.gateway import engines, history

_SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_EXPORTED = {scrape: golden(scrape) for scrape in goldens()}
_RECORDED = recording.series()
_VARIANTS = [(job, parse_exposition(scrape)) for job, scrape in variants()]


def selectors() -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    return [
        (used_by, name, _MATCHER.findall(matchers))
        for used_by, expression in expressions().items()
        for name, matchers in _SELECTOR.findall(expression)
    ]


@functools.cache
def _labels(name: str) -> dict[str, set[str]]:
    """The labels of a metric, and all values that any job or variant exports."""
    found: dict[str, set[str]] = {}
    for exposition in (*_EXPORTED.values(), *(exposition for _, exposition in _VARIANTS)):
        for label, values in exposition.get(name, {}).items():
            found.setdefault(label, set()).update(values)
    return found


def test_every_metric_is_exported_by_the_job_that_is_queried() -> None:
    for used_by, name, matchers in selectors():
        if name in _RECORDED or name in RULE_METRICS:
            by_job = name.startswith("job:")
            assert by_job or all(label != "job" for label, *_ in matchers), f"{used_by}: {name} has no job"
            continue
        assert matchers, f"{used_by}: {name} is queried from every job"
        label, operator, job = matchers[0]
        assert label == "job", f"{used_by}: {name} does not match job first"
        if name in TARGET_METRICS:
            continue
        scrapes = [
            scrape
            for scrape in _EXPORTED
            if job_of(scrape) == job or (operator == "=~" and re.fullmatch(job, job_of(scrape)))
        ]
        assert scrapes, f"{used_by}: there is no scrape of {job}"
        in_a_variant = any(name in exposition for of_job, exposition in _VARIANTS if of_job == job)
        everywhere = all(name in _EXPORTED[scrape] for scrape in scrapes)
        assert everywhere or in_a_variant, f"{used_by}: {job} does not export {name}"


def test_every_label_and_value_that_is_matched_exists() -> None:
    unused_values = {"queue_full"}  # an outcome of the request queue, which does not exist yet
    for used_by, name, matchers in selectors():
        if name in RULE_METRICS:
            continue
        for label, operator, value in matchers:
            if label in {"job", "instance", "vm"}:  # added by Prometheus
                continue
            if name in _RECORDED:
                assert label in _recorded_labels(name), f"{used_by}: {name} is recorded without {label}"
                continue
            known = _labels(name)
            assert label in known, f"{used_by}: {name} has no label {label}"
            if value == ".*" or operator == "!~":
                continue
            for wanted in value.split("|") if operator == "=~" else [value]:
                assert wanted in known[label] | unused_values, f"{used_by}: {name}{{{label}}} is never {wanted}"


@functools.cache
def _recorded_labels(name: str) -> set[str]:
    """The labels of a recorded series: those that its expression aggregates by first, or adds."""
    recorded = _RECORDED.get(name, "")
    if source := re.match(
        r"(?:sum without \((?:model|key)\) \()?(?:sum|max|min|avg)_over_time\(([\w:]+)\{\}\[900s\]", recorded
    ):
        return _recorded_labels(source[1])
    (labels,) = re.findall(r"^(?:1 - )?(?:sum|max|min) by \(([^)]*)\)", recorded) or [""]
    added = re.findall(r', "(\w+)", "[^"]*", "", ""\)', recorded)
    return {*labels.split(", "), *added, *downsampling.labels(name)}


def test_grouping_labels_exist_on_the_metrics() -> None:
    for used_by, expression in expressions().items():
        grouped = {label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(", ")}
        names = promql.metric_names(expression)
        known = {"job", "instance", "vm"} | {label for name in names for label in _labels(name)}
        known |= {label for name in names for label in _recorded_labels(name)}
        renamed = {"model"} if "label_replace" in expression else set()
        of_rules = {"alertname", "severity", events.SUBJECT, events.EXPLANATION} if RULE_METRICS & set(names) else set()
        assert grouped <= known | renamed | of_rules, f"{used_by}: {grouped - known}"


def test_every_metric_has_matchers() -> None:
    functions = {
        *("sum", "min", "max", "count", "by", "on", "or", "and", "unless", "rate", "increase", "group_left", "resets"),
        *("histogram_quantile", "label_replace", "absent", "vector", "time", "sum_over_time", "min_over_time"),
        *("max_over_time", "avg_over_time", "count_over_time", "predict_linear", "round", "clamp_min", "clamp_max"),
        *("last_over_time", "topk", "offset", "timestamp", "label_join", "ignoring"),
        *("abs", "bool", "scalar", "NaN"),
    }
    for used_by, expression in expressions().items():
        without_labels = re.sub(r"(by|without|on|ignoring|group_left) \([^)]*\)", "", expression)
        bare = re.sub(r'"[^"]*"', "", re.sub(r"\{[^}]*\}|\[[^]]*\]|offset \w+", "", without_labels))
        named = set(re.findall(r"[A-Za-z_:][\w:]*", bare))
        assert named - functions == set(promql.metric_names(expression)), used_by


# Constants, and the share of a window in which the rules have been evaluated: recorded with the first evaluation.
_POSITIVE = (*(f"(1 - {slo.objective(level.name)})" for level in slo.all_service_levels()), slo.LIVED)


def test_every_denominator_is_filtered_to_be_above_zero() -> None:
    for used_by, expression in expressions().items():
        for match in re.finditer(r" / (?!\d)(?:on \(\) (?:group_left \(\) )?)?", expression):
            rest = expression[match.end() :]
            if rest.startswith(_POSITIVE):
                continue
            divisor = _bracketed(rest)
            assert divisor.endswith("> 0)"), f"{used_by}: divides by {divisor}"


def _bracketed(text: str) -> str:
    assert text.startswith("("), text
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[: at + 1]
    raise AssertionError(text)


def test_engine_states_are_those_of_the_gateway() -> None:
    assert set(engines.STATES) == _EXPORTED["gateway"]["gateway_engine_state"]["state"]


def test_health_routes_are_those_of_the_gateway() -> None:
    assert set(settings.HEALTH_ROUTES) == gateway_app.HEALTH_PATHS
    for used_by, name, matchers in selectors():
        if "lost in worker crashes" in used_by:
            continue
        if name in {"gateway_requests_total", "gateway_request_duration_seconds_bucket"}:
            assert any(label == "route" and operator == "!~" for label, operator, _ in matchers), used_by


def test_latency_thresholds_are_bucket_bounds() -> None:
    for limit in (settings.TTFT_P95_GOOD_SECONDS, settings.TTFT_P95_LIMIT_SECONDS, settings.TTFT_SLOW_SECONDS):
        assert limit in metrics.TTFT_BUCKETS
    for limit in (settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS):
        assert limit in metrics.TPOT_BUCKETS


def test_bucket_bounds_are_written_as_exposed() -> None:
    asked = {
        (name, value) for _, name, matchers in selectors() for label, _, value in matchers if label == "le"
    }  # fmt: skip
    exposed = {"+Inf", *(str(bound) for bound in (*metrics.TTFT_BUCKETS, *metrics.TPOT_BUCKETS))}
    assert asked
    assert {name for name, _ in asked} == {
        "gateway_time_to_first_token_seconds_bucket", "gateway_time_per_output_token_seconds_bucket", history.TTFT,
        downsampling.long_steps(history.TTFT), downsampling.of_all(history.TTFT),
    }  # fmt: skip
    assert {value for _, value in asked} <= exposed
    assert set(variables.OBJECTIVES["ttft_objective"]) <= exposed


def test_variable_queries_use_labels_that_exist() -> None:
    for dashboard in dashboard_files():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] != "query":
                continue
            name, job, label = re.fullmatch(
                r'label_values\((\w+)\{job=~?"([^"]+)"(?:, vm(?:=~"\$vm"|!="drill"))?\}, (\w+)\)',
                variable["definition"],
            ).groups()  # type: ignore[union-attr]  # None fails the test as well
            assert label in {"instance", "vm"} or label in _EXPORTED[job][name]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_parses_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"expression:{number}", "expr": expr} for number, expr in enumerate(expressions().values())]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "expressions", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_grafana_variable_is_filled_in() -> None:
    for used_by, expression in expressions().items():
        assert not re.search(r"\$(?!1\b)", filled_in(expression)), used_by
