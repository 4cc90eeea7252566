"""Panels of the Cost dashboard: do the gateways and the engines count the same tokens and requests?"""

from dataclasses import replace

from observability import downsampling, settings
from observability.dashboards.palette import CAUSES
from observability.panel import Key, Panel, Query, Thresholds, graph, table
from observability.queries import reconciliation
from observability.variables import Variables

_FULL_RANGE = Variables().full_range
_EVERYTHING = "Covers all engines, gateways and VMs, whatever is selected above."


def drift() -> Panel:
    """The drift of the last hour, on which the alert is."""
    return graph(
        "Drift",
        "Is the gateways' ledger right? The share of what the engines counted in the last hour that no cause explains.",
        "nothing that both sides miss. Above 0 the engines count more: clients bypass the gateway. Below 0 the "
        f"gateways count more: an engine is not scraped. {_EVERYTHING}",
        "percentunit",
        14,
        (Query(reconciliation.drift_over_range(replace(_FULL_RANGE, window="1h")), "{{of}}"),),
        thresholds=Thresholds.limit(settings.DRIFT_LIMIT),
        minimum=None,
        action="runbook, TokenReconciliationDrift.",
    )


def panels() -> tuple[Panel, ...]:
    """The row: the counts of both sides, and their difference by cause."""
    return (
        _counts(),
        _residual("Output token residual by cause", "output_tokens"),
        _residual("Input token residual by cause", "input_tokens"),
    )


def _counts() -> Panel:
    return table(
        "Token reconciliation",
        "Do the engines and the gateways count the same?",
        f"llama.cpp does not count requests. Counted {downsampling.STEPS}; the edges of the time range are five "
        f"minutes soft. Tokens are not split by model or key. {_EVERYTHING}",
        "short",
        10,
        (
            Query(reconciliation.over_range("engines", _FULL_RANGE), "Engines"),
            Query(reconciliation.over_range("gateways", _FULL_RANGE), "Gateways"),
            Query(reconciliation.over_range("unfinished", _FULL_RANGE), "Discarded"),
            Query(reconciliation.drift_over_range(_FULL_RANGE), "Drift", "percentunit"),
        ),
        keys=(Key("of", "Of"),),
        minimum=None,
    )


def _residual(title: str, name: str) -> Panel:
    return graph(
        title,
        "What the engines counted in five minutes and the gateways did not, by cause: where do these tokens come from?",
        "unfinished: requests that were aborted or still run; llama.cpp's prompts of those are estimated. restart: "
        "what is left in minutes with a restart or a failed scrape. direct: only vLLM counts requests; what bypasses "
        f"the gateway to llama.cpp is unattributed. {_EVERYTHING}",
        "short",
        7,
        (Query(reconciliation.residual(name), "{{cause}}"),),
        colours=CAUSES,
        minimum=None,
    )
