"""What Prometheus works out beforehand and keeps under a name of its own: shares of bad requests over long windows.

Counters are read over five minutes only. Longer windows add up what was recorded of those, weighted by requests as the
counters themselves would be: three days of counters, read every 15 s, would keep a core busy. The price is an edge that
is five minutes soft.
"""

from observability import settings
from observability.promql import share
from observability.queries import slo

Json = dict[str, object]

GROUP = "glasshouse-slo"


def rules(interval: str = f"{settings.EVALUATION_INTERVAL_SECONDS}s") -> Json:
    """The file of rules; tests are in a hurry and look more often."""
    recorded = [{"record": name, "expr": expr} for name, expr in series().items()]
    return {"groups": [{"name": GROUP, "interval": interval, "rules": recorded}]}


def series() -> dict[str, str]:
    """Every recorded series and its expression, in an order in which each needs only those before it."""
    found: dict[str, str] = {}
    for level in slo.every():
        bad, judged = f"{level.stem}:increase{slo.MEASURED}", f"slo:{level.name}_judged:increase{slo.MEASURED}"
        found |= {f"slo:{level.name}_objective": f"vector({level.objective})", judged: level.judged, bad: level.bad}
        for window in settings.SLO_WINDOWS:
            parts = (f"{bad}{{}}", f"{judged}{{}}")
            if window != slo.MEASURED:
                parts = (f"sum_over_time({bad}{{}}[{window}])", f"sum_over_time({judged}{{}}[{window}])")
            found[f"{level.stem}:ratio_rate{window}"] = share(*parts)
    return found
