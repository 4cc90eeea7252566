"""The service levels: how many requests were judged and how many were bad, their ratio, and the error budget.

Each evaluation counts what came since the one before (see `promql.increase_between_evaluations`), and longer windows
are sums of these counts. So three days hold what the counters themselves gained in them, and cost one series of samples
and not a hundred. See docs/decisions/0029.
"""

from observability import settings
from observability.promql import per_scalar, share, share_of_each
from observability.queries import slo
from observability.recording.group import Group


def group() -> Group:
    """The group."""
    return Group("glasshouse-slo", settings.EVALUATION_INTERVAL_SECONDS, _series())


def _series() -> dict[str, str]:
    expressions = {level.objective_series: f"vector({level.objective})" for level in slo.all_service_levels()}
    expressions |= {slo.LIVED: _lived(), slo.ANSWERED: slo.answered_requests()}
    for level in slo.all_service_levels():
        expressions[level.judged_series(slo.STEP)] = level.judged
        expressions[level.bad_series(slo.STEP)] = level.bad
        for window in settings.SLO_WINDOWS:
            matcher = "" if window in slo.DRILL_WINDOWS else slo.NOT_A_DRILL
            for series in (level.judged_series, level.bad_series):
                expressions[series(window)] = f"sum_over_time({series(slo.STEP)}{{{matcher}}}[{window}])"
            expressions[level.ratio_series(window)] = share(
                f"{level.bad_series(window)}{{}}", f"{level.judged_series(window)}{{}}"
            )
        allowed = share_of_each(f"(1 - {level.objective_series}{{}})", f"{slo.LIVED}{{}}")
        judged = f"{level.judged_series(slo.BUDGET_WINDOW)}{{}}"
        expressions[level.budget_series] = per_scalar(judged, "*", f"({allowed})")
        rates = {window: slo.burn_rate(level.name, window) for window in slo.GRAPH_WINDOWS}
        expressions[slo.burn_rates_series(level.name)] = _labelled(slo.WINDOW, rates)
    left = {level.title: slo.budget_left(level.name) for level in slo.all_service_levels()}
    return expressions | {slo.BUDGETS_LEFT: _labelled(slo.OBJECTIVE, left)}


def _labelled(label: str, expressions: dict[str, str]) -> str:
    return " or ".join(f'label_replace({expr}, "{label}", "{value}", "", "")' for value, expr in expressions.items())


def _lived() -> str:
    """The share of the budget's window in which Prometheus has evaluated these rules; 1 after a full window."""
    evaluated = f"count_over_time({slo.all_service_levels()[0].objective_series}{{}}[{slo.BUDGET_WINDOW}])"
    return f"clamp_max(max({evaluated}) / {slo.EVALUATIONS_PER_BUDGET_WINDOW}, 1)"
