"""The alert on the stack's own numbers: what the engines count must be in the gateways' ledger."""

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.queries import reconciliation


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (
        Alert(
            name="TokenReconciliationDrift",
            expr=reconciliation.significant_drift("1h"),
            limit=settings.DRIFT_LIMIT,
            for_="15m",
            severity="ticket",
            summary=f"{{{{ $labels.of }}}}: engines and gateways differ by {VALUE} of the engines' count in the last hour",
            resolved="{{ $labels.of }}: the difference between engines and gateways is explained again",
            value_format="humanizePercentage",
            description="Probes, aborted requests, retries and restarts do not explain the difference: clients bypass "
            "the gateway and use an engine directly, an engine or a gateway is not scraped, or a meter is wrong. Until "
            "it is explained, usage and cost by key are wrong by as much. Check Token reconciliation for the cause.",
            dashboard="Cost and keys",
            panel="Drift",
        ),
    )
