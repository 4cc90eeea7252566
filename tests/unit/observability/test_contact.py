import re
from typing import Any

import pytest
import yaml
from tests.unit.observability.generated_files import ROOT, generated_yaml

from observability.alerts import contact, rules

ALERTING = "grafana/provisioning/alerting"


def tree() -> dict[str, Any]:
    (found,) = generated_yaml(f"{ALERTING}/policies.yaml")["policies"]
    policies: dict[str, Any] = found
    return policies


@pytest.mark.parametrize("kind", contact.kinds())
def test_everything_reaches_the_contact_point_of_each_kind(kind: str) -> None:
    (point,) = generated_yaml(f"grafana/contact-points/{kind}.yaml")["contactPoints"]
    assert {tree()["receiver"], *(route["receiver"] for route in tree()["routes"])} == {point["name"]}
    routed = {route["object_matchers"][0][2] for route in tree()["routes"]}
    assert routed == {alert.severity for alert in rules.every()}


def test_a_page_comes_sooner_and_again_and_only_tickets_keep_quiet_hours() -> None:
    page, ticket = tree()["routes"]
    assert (page["repeat_interval"], ticket["repeat_interval"]) == ("1h", "24h")
    assert (page["group_wait"], ticket["group_wait"]) == ("10s", "2m")
    assert "mute_time_intervals" not in page
    assert ticket["mute_time_intervals"] == [contact.QUIET]
    assert tree()["group_by"] == ["grafana_folder", "alertname"]


@pytest.mark.parametrize("kind", contact.quiet_hours())
def test_quiet_hours_of_each_kind_have_the_name_that_the_policy_knows(kind: str) -> None:
    (hours,) = generated_yaml(f"grafana/quiet-hours/{kind}.yaml")["muteTimes"]
    assert hours["name"] == contact.QUIET
    assert hours["time_intervals"]
    assert (hours["time_intervals"] == [{"years": ["1970"]}]) == (kind == "never")


def test_another_kind_takes_the_place_of_the_last_one() -> None:
    points = [generated_yaml(f"grafana/contact-points/{kind}.yaml")["contactPoints"][0] for kind in contact.kinds()]
    assert len({receiver["uid"] for point in points for receiver in point["receivers"]}) == 1


def test_every_message_is_written_by_our_templates() -> None:
    written = generated_yaml(f"{ALERTING}/templates.yaml")["templates"]
    defined = {name for one in written for name in re.findall(r'define "([\w.]+)"', one["template"])}
    used = {name for one in written for name in re.findall(r'template "([\w.]+)"', one["template"])}
    for kind in set(contact.kinds()) - {"nobody"}:
        text = str(generated_yaml(f"grafana/contact-points/{kind}.yaml"))
        named = set(re.findall(r'template "([\w.]+)"', text))
        assert named == {"glasshouse.title", "glasshouse.text"}, kind
        used |= named
    assert used <= defined
    text = "".join(one["template"] for one in written)
    for told in (".Annotations.summary", ".StartsAt", ".PanelURL", ".Annotations.runbook", ".SilenceURL"):
        assert told in text
    assert "$" not in text  # Grafana would put a variable of its environment there


def test_a_variable_in_a_contact_point_is_one_that_compose_gives_to_grafana() -> None:
    grafana = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]
    for kind in contact.kinds():
        text = str(generated_yaml(f"grafana/contact-points/{kind}.yaml"))
        for name in re.findall(r"\$(\w+)", text.replace("$__file", "")):
            assert name in grafana["environment"], kind


@pytest.mark.parametrize(
    ("directory", "variable", "default"),
    [("contact-points", "ALERTS_TO", "nobody"), ("quiet-hours", "ALERTS_QUIET", "never")],
)
def test_compose_hands_on_the_kind_that_is_named_and_silence_is_the_default(
    directory: str, variable: str, default: str
) -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for service in ("grafana-init", "grafana"):  # one lays out the files, the other reads them once
        assert variable in services[service]["environment"]
        assert services[service]["environment"][variable] is None
    (mount,) = [one for one in services["grafana"]["volumes"] if "grafana-alerting" in str(one)]
    assert mount["target"] == f"/etc/{ALERTING}"
    assert mount["volume"] == {"nocopy": True}  # samples of Grafana's image would be read, too
    assert generated_yaml(f"{ALERTING}/{directory}.yaml") == generated_yaml(f"grafana/{directory}/{default}.yaml")
    assert "$" not in str(generated_yaml(f"grafana/{directory}/{default}.yaml"))  # nothing that could be missing
