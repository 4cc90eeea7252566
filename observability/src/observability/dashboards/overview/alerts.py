"""The row of the Overview on alerts that fire."""

from observability import alerts
from observability.panel import ORANGE, RED, Key, Panel, Query, table
from observability.queries import events

_SEVERITIES = (("page", "page: act now", RED), ("ticket", "ticket: next working day", ORANGE))


# Grafana's own list, filtered to the alert.
_IN_GRAFANA = "/alerting/list?search=${__value.raw}"


def firing() -> tuple[Panel, ...]:
    """The alerts, with what each of them means and a link to its section of the runbook."""
    explanations = tuple((alert.name, _first_sentence(alert.description), "") for alert in alerts.all_alerts())
    return (
        table(
            "Firing alerts",
            "Which alerts fire, how urgent are they, since when, and what do they mean? A click shows its values "
            "and the runbook.",
            "Prometheus evaluates the same rules as Grafana, which notifies: the two can differ by a minute. Silenced "
            "alerts are listed. While Prometheus is down this is empty: see Alert rules in Grafana.",
            "none", 24, (Query(events.firing_since(), "Since", "dateTimeFromNow"),),
            no_value="No alerts firing",
            keys=(
                Key("alertname", "Alert", width=230, url=_IN_GRAFANA, link="Summary, values and runbook"),
                Key("severity", "Severity", width=190, texts=_SEVERITIES),
                Key(events.SUBJECT, "Of"),
                Key(events.EXPLANATION, "What it means", texts=explanations),
            ),
            needs="needs-fault",
        ),
    )  # fmt: skip


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")
