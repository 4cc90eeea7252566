"""Grafana's HTTP API, as far as a drill asks it; every path exists from Grafana 9.4 on.

Each request has a connection of its own: a drill waits for minutes, and an idle connection may be closed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from glasshouse.api import Api, Response
from glasshouse.errors import ApiError, DrillError
from glasshouse.stack.rig import GrafanaAccess

_USER = "admin"
_DATASOURCE = "prometheus"  # its uid, in grafana/provisioning/datasources
_UNAUTHORIZED = (401, 403)
_TIMEOUT_S = 20.0
_OK, _SERVER_ERROR = 200, 500

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule: how long its condition must hold, in seconds, and the labels of its firing instances."""

    name: str
    for_s: float
    firing: tuple[Labels, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A contact point's latest notification: its Unix time, 0 for never, and its error, empty if it succeeded."""

    at: float
    error: str


@dataclass(frozen=True, slots=True)
class Matcher:
    """A matcher of a silence."""

    name: str
    value: str
    is_equal: bool = True


class Grafana:
    """A stack's Grafana.

    Args:
        access: where it answers, and as whom.

    Raises:
        DrillError: The password cannot be read.
    """

    def __init__(self, access: GrafanaAccess) -> None:
        self._access = access
        try:
            self._password = access.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise DrillError(
                f"The password of Grafana cannot be read: {error}. Put sudo before the command."
            ) from error

    def rules(self) -> dict[str, Rule]:
        """Every alert rule by its name.

        Raises:
            GlasshouseError: Grafana does not answer, or does not accept the password.
        """
        groups = self._get("/api/prometheus/grafana/api/v1/rules")["data"]["groups"]
        return {rule["name"]: _rule(rule) for group in groups for rule in group["rules"]}

    def attempts(self) -> tuple[Attempt, ...]:
        """The latest notification of each contact point that has sent one.

        Raises:
            GlasshouseError: Grafana does not answer, or does not accept the password.
        """
        receivers = self._get("/api/alertmanager/grafana/config/api/v1/receivers")
        found = (_attempt(each) for receiver in receivers for each in receiver.get("integrations") or ())
        return tuple(attempt for attempt in found if attempt.at > 0)

    def series(self, expression: str) -> list[Labels]:
        """The labels of each series of an instant query to Prometheus.

        Raises:
            GlasshouseError: Grafana or Prometheus does not answer.
        """
        path = f"/api/datasources/proxy/uid/{_DATASOURCE}/api/v1/query?{urlencode({'query': expression})}"
        return [each["metric"] for each in self._get(path)["data"]["result"]]

    def silence(self, matchers: Sequence[Matcher], minutes: float, comment: str) -> str:
        """Creates a silence, which also expires by itself; returns its identifier.

        Raises:
            GlasshouseError: Grafana does not answer, or refuses it.
        """
        now = datetime.now(UTC)
        body = {
            "matchers": [
                {"name": each.name, "value": each.value, "isEqual": each.is_equal, "isRegex": False}
                for each in matchers
            ],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=minutes)).isoformat(),
            "createdBy": "glasshouse drill",
            "comment": comment,
        }
        with self._api() as api:
            answer = api.post("/grafana/api/alertmanager/grafana/api/v2/silences", body)
        if not isinstance(answer.body, dict) or "silenceID" not in answer.body:
            raise DrillError(f"Grafana created no silence: {_said(answer)}.")
        return str(answer.body["silenceID"])

    def expire(self, silence: str) -> None:
        """Ends a silence; nothing happens where it has ended.

        Raises:
            GlasshouseError: Grafana does not answer.
        """
        with self._api() as api:
            api.delete(f"/grafana/api/alertmanager/grafana/api/v2/silence/{quote(silence, safe='')}")

    def _get(self, path: str) -> Any:
        with self._api() as api:
            answer = api.get(f"/grafana{path}")
        if answer.status in _UNAUTHORIZED:
            raise DrillError(
                f"Grafana does not accept the password in {self._access.password_file}: it has been changed since the "
                "first start. Name a file with the current one: --password-file"
            )
        if answer.status != _OK or isinstance(answer.body, str):
            # Of nginx, while Grafana restarts: as good as no answer.
            kind = ApiError if answer.status >= _SERVER_ERROR else DrillError
            raise kind(f"Grafana answers {answer.status} to {path.partition('?')[0]}: {_said(answer)}.")
        return answer.body

    def _api(self) -> Api:
        return Api(
            self._access.url, certificate=self._access.certificate, user=(_USER, self._password), timeout=_TIMEOUT_S
        )


def _rule(rule: Mapping[str, Any]) -> Rule:
    # The state may be followed by its reason: "Alerting (NoData)".
    firing = tuple(each["labels"] for each in rule.get("alerts") or () if each["state"].startswith("Alerting"))
    return Rule(rule["name"], float(rule.get("duration") or 0), firing)


def _attempt(integration: Mapping[str, Any]) -> Attempt:
    text = str(integration.get("lastNotifyAttempt") or "")
    try:
        at = datetime.fromisoformat(text).timestamp()
    except ValueError:
        at = 0.0
    return Attempt(max(at, 0.0), str(integration.get("lastNotifyAttemptError") or ""))


def _said(answer: Response) -> str:
    return (answer.reason or json.dumps(answer.body))[:200].rstrip(".")
