import re
from typing import Any

import pytest
import yaml
from tests.support.generated_files import ROOT, generated_yaml

from observability import settings
from observability.alerts import all_alerts, contact

ALERTING = "grafana/provisioning/alerting"


def notification_policies() -> dict[str, Any]:
    policies: dict[str, Any]
    (policies,) = generated_yaml(f"{ALERTING}/policies.yaml")["policies"]
    return policies


@pytest.mark.parametrize("kind", contact.contact_points())
def test_every_severity_is_routed_to_the_contact_point(kind: str) -> None:
    (point,) = generated_yaml(f"grafana/contact-points/{kind}.yaml")["contactPoints"]
    assert {
        notification_policies()["receiver"],
        *(route["receiver"] for route in notification_policies()["routes"]),
    } == {point["name"]}
    _drill, *routes = notification_policies()["routes"]
    routed = {route["object_matchers"][0][2] for route in routes}
    assert routed == {alert.severity for alert in all_alerts()}


def test_pages_come_sooner_and_repeat_and_only_tickets_are_muted() -> None:
    _drill, page, ticket = notification_policies()["routes"]
    assert (page["repeat_interval"], ticket["repeat_interval"]) == ("1h", "24h")
    assert (page["group_wait"], ticket["group_wait"]) == ("10s", "2m")
    assert "mute_time_intervals" not in page
    assert ticket["mute_time_intervals"] == [contact.MUTE_TIMING]
    assert notification_policies()["group_by"] == ["grafana_folder", "alertname"]


def test_a_drill_is_routed_apart_at_once_and_in_quiet_hours_too() -> None:
    drill, *_ = notification_policies()["routes"]
    assert drill["object_matchers"] == [["vm", "=", settings.DRILL_VM]]
    assert drill["group_wait"] == "10s"
    assert "mute_time_intervals" not in drill
    title = str(generated_yaml(f"{ALERTING}/templates.yaml")["templates"][0]["template"])
    assert f'{{{{ if eq .CommonLabels.vm "{settings.DRILL_VM}" }}}}[DRILL] {{{{ end }}}}' in title


@pytest.mark.parametrize("kind", contact.quiet_hours())
def test_each_mute_timing_has_the_name_that_the_policy_refers_to(kind: str) -> None:
    (hours,) = generated_yaml(f"grafana/quiet-hours/{kind}.yaml")["muteTimes"]
    assert hours["name"] == contact.MUTE_TIMING
    assert hours["time_intervals"]
    assert (hours["time_intervals"] == [{"years": ["1970"]}]) == (kind == "never")


def test_contact_points_share_a_uid_so_that_one_replaces_the_other() -> None:
    points = [
        generated_yaml(f"grafana/contact-points/{kind}.yaml")["contactPoints"][0] for kind in contact.contact_points()
    ]
    assert len({receiver["uid"] for point in points for receiver in point["receivers"]}) == 1


def test_every_message_uses_our_templates() -> None:
    written = generated_yaml(f"{ALERTING}/templates.yaml")["templates"]
    defined = {name for template in written for name in re.findall(r'define "([\w.]+)"', template["template"])}
    used = {name for template in written for name in re.findall(r'template "([\w.]+)"', template["template"])}
    for kind in set(contact.contact_points()) - {"nobody"}:
        text = str(generated_yaml(f"grafana/contact-points/{kind}.yaml"))
        named = set(re.findall(r'template "([\w.]+)"', text))
        assert named == {"glasshouse.title", "glasshouse.text"}, kind
        used |= named
    assert used <= defined
    text = "".join(template["template"] for template in written)
    for placeholder in (".Annotations.summary", ".StartsAt", ".PanelURL", ".Annotations.runbook_url", ".SilenceURL"):
        assert placeholder in text
    assert "$" not in text  # Grafana would expand an environment variable


def test_a_title_says_whether_it_fires_how_many_do_and_about_what() -> None:
    written = {each["name"]: each["template"] for each in generated_yaml(f"{ALERTING}/templates.yaml")["templates"]}
    title = written["glasshouse.title"]
    assert "[{{ if .Alerts.Firing }}FIRING:{{ len .Alerts.Firing }}{{ else }}RESOLVED{{ end }}]" in title
    for label in ("vm", "engine", "model", "outcome"):
        assert f"{{{{ with .CommonLabels.{label} }}}} {label}={{{{ . }}}}{{{{ end }}}}" in title
    assert "\n" not in title.strip().split("-}}", maxsplit=1)[1].strip().removesuffix("\n{{- end }}")


def test_what_is_resolved_does_not_read_as_if_it_still_fired() -> None:
    written = {each["name"]: each["template"] for each in generated_yaml(f"{ALERTING}/templates.yaml")["templates"]}
    firing, resolved = re.findall(
        r'define "glasshouse.(?:alert|resolved)" -}}(.*?)\n{{ end }}\n', written["glasshouse.text"], re.DOTALL
    )
    assert ".Annotations.summary" in firing
    assert ".Annotations.resolved" in resolved
    assert ".Annotations.summary" not in resolved
    assert ".EndsAt" in resolved


def test_compose_sets_every_variable_of_a_contact_point() -> None:
    grafana = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]
    for kind in contact.contact_points():
        text = str(generated_yaml(f"grafana/contact-points/{kind}.yaml"))
        for name in re.findall(r"\$(\w+)", text.replace("$__file", "")):
            assert name in grafana["environment"], kind


@pytest.mark.parametrize(
    ("directory", "variable", "default"),
    [("contact-points", "ALERTS_TO", "nobody"), ("quiet-hours", "ALERTS_QUIET", "never")],
)
def test_compose_mounts_the_chosen_file_and_notifies_nobody_by_default(
    directory: str, variable: str, default: str
) -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for service in ("grafana-init", "grafana"):  # one copies the files, the other reads them
        assert variable in services[service]["environment"]
        assert services[service]["environment"][variable] is None
    (mount,) = [volume for volume in services["grafana"]["volumes"] if "grafana-alerting" in str(volume)]
    assert mount["target"] == f"/etc/{ALERTING}"
    assert mount["volume"] == {"nocopy": True}  # or samples of Grafana's image would be read too
    assert generated_yaml(f"{ALERTING}/{directory}.yaml") == generated_yaml(f"grafana/{directory}/{default}.yaml")
    assert "$" not in str(generated_yaml(f"grafana/{directory}/{default}.yaml"))  # nothing that could be missing
