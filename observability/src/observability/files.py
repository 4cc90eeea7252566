"""Every file that this package writes: its path below the repository's root, and its text."""

from pathlib import Path

from observability import dashboards, provisioning, recording, reference, scrape
from observability.alerts import contact, grafana, prometheus
from observability.alerts import rules as alerts
from observability.dashboard import path as dashboard_path
from observability.text import as_json, as_yaml


def generated() -> dict[str, str]:
    """All files by their path relative to the repository's root."""
    return {
        "prometheus/prometheus.gpu.yml": as_yaml(scrape.gpu(), "Read by Prometheus in compose.yaml."),
        "prometheus/prometheus.cpu.yml": as_yaml(scrape.cpu(), "Read by Prometheus in compose.cpu.yaml."),
        "prometheus/native.yml.template": as_yaml(
            scrape.native(), "`make up` fills in the ${…} and writes .run/prometheus/prometheus.yml for Prometheus."
        ),
        "prometheus/blackbox.yml": as_yaml(scrape.blackbox(), "Read by the blackbox exporter."),
        "prometheus/rules/recording.yml": as_yaml(recording.rules(), "Read by Prometheus, in every shape."),
        "grafana/provisioning/datasources/prometheus.yaml": as_yaml(provisioning.datasources(), "Read by Grafana."),
        "grafana/provisioning/dashboards/glasshouse.yaml": as_yaml(provisioning.dashboards(), "Read by Grafana."),
        "grafana/provisioning/alerting/rules.yaml": as_yaml(grafana.rules(alerts.every()), "Read by Grafana."),
        # The files that the chosen kinds are mounted over.
        "grafana/provisioning/alerting/contact-points.yaml": as_yaml(contact.kinds()["nobody"], "Read by Grafana."),
        **{
            f"grafana/contact-points/{kind}.yaml": as_yaml(point, f"Read by Grafana where ALERTS_TO={kind}.")
            for kind, point in contact.kinds().items()
        },
        "grafana/provisioning/alerting/quiet-hours.yaml": as_yaml(contact.quiet_hours()["never"], "Read by Grafana."),
        **{
            f"grafana/quiet-hours/{kind}.yaml": as_yaml(hours, f"Read by Grafana where ALERTS_QUIET={kind}.")
            for kind, hours in contact.quiet_hours().items()
        },
        "grafana/provisioning/alerting/templates.yaml": as_yaml(contact.templates(), "Read by Grafana."),
        "grafana/provisioning/alerting/policies.yaml": as_yaml(contact.policies(), "Read by Grafana."),
        "prometheus/rules/alerts.yml": as_yaml(
            prometheus.rules(alerts.every()),
            "The alerts for promtool's tests; Grafana evaluates them, Prometheus does not.",
        ),
        "docs/panels.md": reference.page(dashboards.every()),
        **{dashboard_path(dashboard): as_json(dashboard.json()) for dashboard in dashboards.every()},
    }


def write(root: Path) -> list[str]:
    """Writes the files that differ from what is there; returns their paths.

    Raises:
        OSError: A file cannot be written.
    """
    changed = stale(root)
    for path in changed:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(generated()[path], encoding="utf-8")
    return changed


def stale(root: Path) -> list[str]:
    """The paths whose file is missing or differs from the source."""
    return [path for path, text in generated().items() if not _holds(root / path, text)]


def _holds(file: Path, text: str) -> bool:
    return file.is_file() and file.read_bytes() == text.encode()
