"""Who is told, when, and in which words: a contact point of several kinds, a tree of policies, quiet hours, templates.

Compose mounts the kind that ALERTS_TO names, and the quiet hours that ALERTS_QUIET names. An address is a secret, since
who knows it can write to the channel: Grafana reads it from a file. It does not start when that is missing, so the
service `init` looks first. A `$` in these files is Grafana's own, for variables and files; no text may hold one.
"""

Json = dict[str, object]

NAME = "glasshouse"
QUIET = "quiet-hours"
# Answers 200 to everything, and keeps nothing.
_NOBODY = "http://blackbox:9115/-/healthy"
_ADDRESS = "$__file{/run/glasshouse/alert-url}"
_TITLE, _TEXT = ('{{ template "glasshouse.%s" . }}' % part for part in ("title", "text"))  # noqa: UP031 - braces

_TITLE_TEMPLATE = """\
{{ define "glasshouse.title" -}}
{{ if .Alerts.Firing }}{{ .CommonLabels.severity }}: {{ .GroupLabels.alertname }}\
{{ if gt (len .Alerts.Firing) 1 }}, {{ len .Alerts.Firing }} times{{ end }}\
{{ else }}over: {{ .GroupLabels.alertname }}{{ end }}
{{- end }}
"""
_TEXT_TEMPLATE = """\
{{ define "glasshouse.alert" -}}
{{ .Annotations.summary }}.
Since {{ .StartsAt.UTC.Format "2006-01-02 15:04" }} UTC. {{ .Annotations.description }}
What to do: {{ .Annotations.runbook }}
{{ if .PanelURL }}Panel: {{ .PanelURL }}
{{ end }}{{ if .SilenceURL }}Silence it: {{ .SilenceURL }}
{{ end }}
{{ end }}
{{ define "glasshouse.text" -}}
{{ range .Alerts.Firing }}{{ template "glasshouse.alert" . }}{{ end -}}
{{ range .Alerts.Resolved }}Over since {{ .EndsAt.UTC.Format "2006-01-02 15:04" }} UTC: {{ .Annotations.summary }}.
{{ end -}}
{{- end }}
"""


def kinds() -> dict[str, Json]:
    """A contact point for each value of ALERTS_TO, all under one name."""
    address: Json = {"url": _ADDRESS}
    return {
        "nobody": _point("webhook", {"url": _NOBODY, "httpMethod": "POST"}),
        "webhook": _point("webhook", {**address, "httpMethod": "POST", "title": _TITLE, "message": _TEXT}),
        "slack": _point("slack", {**address, "title": _TITLE, "text": _TEXT}),
        "discord": _point("discord", {**address, "title": _TITLE, "message": _TEXT}),
        # Who reads mail is no secret, and comes from the environment; the mail server's password is in a file.
        "email": _point(
            "email", {"addresses": "$ALERTS_EMAIL", "singleEmail": True, "subject": _TITLE, "message": _TEXT}
        ),
    }


def _point(kind: str, settings: Json) -> Json:
    # One uid for all kinds: Grafana keeps a receiver whose uid has left the file, and would go on telling it.
    receiver: Json = {"uid": NAME, "type": kind, "settings": settings}
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": NAME, "receivers": [receiver]}]}


def policies() -> Json:
    """All goes to the one contact point: a page at once and again, a ticket once a day and never in quiet hours."""
    page: Json = {
        "receiver": NAME,
        "object_matchers": [["severity", "=", "page"]],
        "group_wait": "10s",
        "group_interval": "2m",
        "repeat_interval": "1h",
    }
    ticket: Json = {
        "receiver": NAME,
        "object_matchers": [["severity", "=", "ticket"]],
        "mute_time_intervals": [QUIET],
        "group_wait": "2m",
        "group_interval": "15m",
        "repeat_interval": "24h",
    }
    tree: Json = {
        "orgId": 1,
        "receiver": NAME,
        "group_by": ["grafana_folder", "alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
        "routes": [page, ticket],
    }
    return {"apiVersion": 1, "policies": [tree]}


def quiet_hours() -> dict[str, Json]:
    """When tickets wait, for each value of ALERTS_QUIET; hours are those of ALERTS_TIMEZONE. Pages never wait."""
    night: Json = {
        "times": [{"start_time": "00:00", "end_time": "08:00"}, {"start_time": "20:00", "end_time": "24:00"}],
        "location": "Local",
    }
    weekend: Json = {"weekdays": ["saturday", "sunday"], "location": "Local"}
    return {
        "never": _quiet({"years": ["1970"]}),  # an interval has to be there, since the policy names it
        "nights": _quiet(night),
        "nights-and-weekends": _quiet(night, weekend),
    }


def _quiet(*intervals: Json) -> Json:
    return {"apiVersion": 1, "muteTimes": [{"orgId": 1, "name": QUIET, "time_intervals": list(intervals)}]}


def templates() -> Json:
    """The words of every kind: what, in numbers, since when, what it means, and where to look."""
    texts = {"glasshouse.title": _TITLE_TEMPLATE, "glasshouse.text": _TEXT_TEMPLATE}
    return {
        "apiVersion": 1,
        "templates": [{"orgId": 1, "name": name, "template": text} for name, text in texts.items()],
    }
