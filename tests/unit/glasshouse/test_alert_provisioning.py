from pathlib import Path

import pytest
import yaml

from glasshouse import alert_provisioning
from glasshouse.errors import GlasshouseError, SecretsError, SettingsError
from glasshouse.settings import Settings, load

SHIPPED = Path(__file__).resolve().parents[3] / "grafana"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Grafana's directory of alerting files, as a new volume is."""
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def with_address(root: Path, text: str, **variables: str) -> Settings:
    settings = load(root, variables)
    (settings.secrets_dir / "grafana").mkdir(parents=True)
    (settings.secrets_dir / "grafana" / "alert-url").write_text(text)
    return settings


def test_nobody_is_told_at_first_and_every_shipped_file_is_there(root: Path, target: Path) -> None:
    alert_provisioning.write(load(root, {}), SHIPPED, target)
    assert {file.name for file in target.iterdir()} == {
        "contact-points.yaml", "policies.yaml", "quiet-hours.yaml", "rules.yaml", "templates.yaml",
    }  # fmt: skip
    assert (target / "rules.yaml").read_bytes() == (SHIPPED / "provisioning" / "alerting" / "rules.yaml").read_bytes()
    assert (target / "contact-points.yaml").read_bytes() == (SHIPPED / "contact-points" / "nobody.yaml").read_bytes()
    assert (target / "quiet-hours.yaml").read_bytes() == (SHIPPED / "quiet-hours" / "never.yaml").read_bytes()


def test_what_is_chosen_replaces_what_was_and_a_file_that_is_no_longer_shipped_goes(root: Path, target: Path) -> None:
    alert_provisioning.write(load(root, {}), SHIPPED, target)
    (target / "of-an-older-version.yaml").touch()
    settings = with_address(root, "https://chat.example.org/hook\n", ALERTS_TO="slack", ALERTS_QUIET="nights")
    alert_provisioning.write(settings, SHIPPED, target)
    assert (target / "contact-points.yaml").read_bytes() == (SHIPPED / "contact-points" / "slack.yaml").read_bytes()
    assert (target / "quiet-hours.yaml").read_bytes() == (SHIPPED / "quiet-hours" / "nights.yaml").read_bytes()
    assert not (target / "of-an-older-version.yaml").exists()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ALERTS_TO": "slakc"}, r"ALERTS_TO='slakc' is not allowed: use discord, email, nobody, slack or webhook\."),
        ({"ALERTS_TO": "../contact-points/slack"}, r"ALERTS_TO='\.\./contact-points/slack' is not allowed"),
        (
            {"ALERTS_QUIET": "weekend"},
            r"ALERTS_QUIET='weekend' is not allowed: use never, nights-and-weekends or nights",
        ),
    ],
    ids=["a typo", "a path", "quiet hours"],
)
def test_a_name_that_there_is_not_is_refused_with_those_there_are(
    root: Path, target: Path, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        alert_provisioning.write(load(root, variables), SHIPPED, target)
    assert not list(target.iterdir())


@pytest.mark.parametrize("kind", ["slack", "discord", "webhook"])
@pytest.mark.parametrize("text", [None, "", "chat.example.org"])
def test_alerts_need_an_address(root: Path, target: Path, kind: str, text: str | None) -> None:
    settings = load(root, {"ALERTS_TO": kind}) if text is None else with_address(root, text, ALERTS_TO=kind)
    with pytest.raises(SecretsError, match=rf"ALERTS_TO='{kind}', but the file .*grafana/alert-url does not hold"):
        alert_provisioning.write(settings, SHIPPED, target)


def test_mail_needs_an_address_and_a_server(root: Path, target: Path) -> None:
    with pytest.raises(SecretsError, match=r"ALERTS_TO='email', but \.env does not set ALERTS_EMAIL and SMTP_HOST"):
        alert_provisioning.write(load(root, {"ALERTS_TO": "email"}), SHIPPED, target)
    mail = {"ALERTS_TO": "email", "ALERTS_EMAIL": "a@example.org"}
    with pytest.raises(SecretsError, match=r"but \.env does not set SMTP_HOST"):
        alert_provisioning.write(load(root, mail), SHIPPED, target)
    alert_provisioning.write(load(root, mail | {"SMTP_HOST": "smtp.example.org:587"}), SHIPPED, target)
    assert "$ALERTS_EMAIL" in (target / "contact-points.yaml").read_text()


def test_a_checkout_that_the_services_user_cannot_read_is_said_in_a_sentence(
    root: Path, target: Path, tmp_path: Path
) -> None:
    with pytest.raises(SecretsError, match=r"User \d+ can read no file in .*contact-points: chmod -R a\+rX grafana"):
        alert_provisioning.write(load(root, {}), tmp_path, target)


def test_a_file_that_cannot_be_read_or_written_is_said_in_a_sentence(root: Path, target: Path) -> None:
    settings = load(root, {"ALERTS_TO": "webhook"})
    (settings.secrets_dir / "grafana" / "alert-url").mkdir(parents=True)
    with pytest.raises(GlasshouseError, match=r"The address for alerts cannot be read: .*alert-url"):
        alert_provisioning.write(settings, SHIPPED, target)
    target.rmdir()
    with pytest.raises(GlasshouseError, match="cannot be written"):
        alert_provisioning.write(load(root, {}), SHIPPED, target)


def test_alerts_link_to_the_runbook_where_its_address_is_set(root: Path, target: Path) -> None:
    address = "https://git.example.org:8443/llm/glasshouse/blob/main/docs/runbook.md"
    alert_provisioning.write(load(root, {"RUNBOOK_URL": address}), SHIPPED, target)
    (group,) = yaml.safe_load((target / "rules.yaml").read_text())["groups"]
    links = {rule["title"]: rule["annotations"]["runbook_url"] for rule in group["rules"]}
    assert links == {title: f"{address}#{title.lower()}" for title in links}
    alert_provisioning.write(load(root, {"RUNBOOK_URL": ""}), SHIPPED, target)
    assert "runbook_url: docs/runbook.md#targetdown\n" in (target / "rules.yaml").read_text()


@pytest.mark.parametrize(
    "address",
    [
        "docs/our-runbook.md",
        "https://git.example.org/$TOKEN",
        "https://git.example.org/runbook.md#top",
        "https://x/ y",
        "https://x/{{ .Labels }}",
        "https://x/\n",
    ],
)
def test_a_runbook_address_that_grafana_could_not_read_is_refused(root: Path, target: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="RUNBOOK_URL="):
        alert_provisioning.write(load(root, {"RUNBOOK_URL": address}), SHIPPED, target)
