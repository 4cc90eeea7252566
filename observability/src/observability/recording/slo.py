"""The service levels: ratios of bad requests over the windows of service levels.

Only the five-minute window reads counters. Longer windows sum its recorded results, weighted by requests as the
counters themselves would be: evaluating three days of counters every 15 s would keep a core busy. The price is that the
edge of a long window is five minutes soft.
"""

from observability import settings
from observability.promql import share
from observability.queries import slo
from observability.recording.group import Group


def group() -> Group:
    """The group."""
    return Group("glasshouse-slo", settings.EVALUATION_INTERVAL_SECONDS, _series())


def _series() -> dict[str, str]:
    expressions: dict[str, str] = {}
    for level in slo.all_service_levels():
        bad, judged = f"{level.stem}:increase{slo.BASE_WINDOW}", f"slo:{level.name}_judged:increase{slo.BASE_WINDOW}"
        expressions |= {
            f"slo:{level.name}_objective": f"vector({level.objective})",
            judged: level.judged,
            bad: level.bad,
        }
        for window in settings.SLO_WINDOWS:
            operands = (f"{bad}{{}}", f"{judged}{{}}")
            if window != slo.BASE_WINDOW:
                operands = (f"sum_over_time({bad}{{}}[{window}])", f"sum_over_time({judged}{{}}[{window}])")
            expressions[f"{level.stem}:ratio_rate{window}"] = share(*operands)
    return expressions
