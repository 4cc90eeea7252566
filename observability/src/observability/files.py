"""All generated files: their paths below the repository's root, and their text, the same bytes from the same source."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from observability import alerts, dashboards, panel_reference, provisioning, recording, rule_files, scrape, shapes
from observability.alerts import contact
from observability.dashboard import file_path

_NOTICE = "Written by `make dashboards` from observability/: change it there."


class _Dumper(yaml.SafeDumper):
    """Indents list items below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 -- the signature is pyyaml's
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Multi-line text as a block, so that it is readable."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def as_yaml(document: object, comment: str) -> str:
    """A YAML file; `comment` is one line that says what reads it."""
    body = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"# {comment}\n# {_NOTICE}\n\n{body}"


def as_json(document: object) -> str:
    """A JSON file, indented so that diffs are readable."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


@functools.cache
def generated() -> Mapping[str, str]:
    """The text of every generated file, by its path relative to the repository's root."""
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
        "grafana/provisioning/alerting/rules.yaml": as_yaml(
            rule_files.grafana_rules(alerts.all_alerts()), "Read by Grafana."
        ),
        # Defaults; `grafana-init` replaces them with the files of ALERTS_TO and ALERTS_QUIET.
        "grafana/provisioning/alerting/contact-points.yaml": as_yaml(
            contact.contact_points()["nobody"], "Read by Grafana."
        ),
        **{
            f"grafana/contact-points/{kind}.yaml": as_yaml(point, f"Read by Grafana where ALERTS_TO={kind}.")
            for kind, point in contact.contact_points().items()
        },
        "grafana/provisioning/alerting/quiet-hours.yaml": as_yaml(contact.quiet_hours()["never"], "Read by Grafana."),
        **{
            f"grafana/quiet-hours/{kind}.yaml": as_yaml(hours, f"Read by Grafana where ALERTS_QUIET={kind}.")
            for kind, hours in contact.quiet_hours().items()
        },
        "grafana/provisioning/alerting/templates.yaml": as_yaml(contact.templates(), "Read by Grafana."),
        "grafana/provisioning/alerting/policies.yaml": as_yaml(contact.policies(), "Read by Grafana."),
        "prometheus/rules/alerts.yml": as_yaml(
            rule_files.prometheus_rules(alerts.all_alerts()),
            "Read by Prometheus, for dashboards: Grafana evaluates the same alerts, and notifies.",
        ),
        "docs/panels.md": panel_reference.markdown(dashboards.all_dashboards()),
        **{
            file_path(dashboard, shape): as_json(dashboard.json(parts))
            for shape, parts in shapes.SHAPES.items()
            for dashboard in dashboards.all_dashboards()
            if dashboard.part in parts | {""}
        },
    }


def write(root: Path) -> list[str]:
    """Writes the files that differ; returns their paths.

    Raises:
        OSError: a file cannot be written.
    """
    changed = stale(root)
    for path in changed:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(generated()[path], encoding="utf-8")
    return changed


def stale(root: Path) -> list[str]:
    """The paths of files that are missing or differ from the source."""
    return [path for path, text in generated().items() if not _is_current(root / path, text)]


def _is_current(file: Path, text: str) -> bool:
    return file.is_file() and file.read_bytes() == text.encode()
