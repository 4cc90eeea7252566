"""Grafana's notification settings: contact points, notification policies, mute timings and message templates.

Compose mounts the contact point that ALERTS_TO names and the mute timing that ALERTS_QUIET names. The address is a
secret, since whoever knows it can post to the channel: Grafana reads it from a file. It does not start when the file is
missing, so the `init` service checks first. Grafana expands every `$` in these files; no text may contain one.
"""

from observability import settings

Json = dict[str, object]

CONTACT_POINT = "glasshouse"
MUTE_TIMING = "quiet-hours"
# Always responds 200; used where nobody is to be notified.
_DISCARD_URL = "http://blackbox:9115/-/healthy"
_ALERT_URL = "$__file{/run/glasshouse/alert-url}"
_TITLE, _TEXT = ('{{ template "glasshouse.%s" . }}' % part for part in ("title", "text"))  # noqa: UP031 - braces

# Labels that say what an alert is about, in this order. A title has those that all alerts of a message share.
_LABELS = ("vm", "engine", "job", "model", "outcome", "gpu")
_TITLE_TEMPLATE = (
    """\
{{ define "glasshouse.title" -}}
{{ if eq .CommonLabels.vm "drill" }}[DRILL] {{ end }}\
[{{ if .Alerts.Firing }}FIRING:{{ len .Alerts.Firing }}{{ else }}RESOLVED{{ end }}] \
{{ .CommonLabels.severity }}: {{ .GroupLabels.alertname }}"""
    + "".join("{{ with .CommonLabels.%s }} %s={{ . }}{{ end }}" % (label, label) for label in _LABELS)  # noqa: UP031 - braces
    + """
{{- end }}
"""
)
_TEXT_TEMPLATE = """\
{{ define "glasshouse.alert" -}}
{{ .Annotations.summary }}.
Since {{ .StartsAt.UTC.Format "2006-01-02 15:04" }} UTC. {{ .Annotations.description }}
Runbook: {{ .Annotations.runbook_url }}
{{ if .PanelURL }}Panel: {{ .PanelURL }}
{{ end }}{{ if .SilenceURL }}Silence: {{ .SilenceURL }}
{{ end }}
{{ end }}
{{ define "glasshouse.resolved" -}}
{{ .Annotations.resolved }}. From {{ .StartsAt.UTC.Format "2006-01-02 15:04" }} to \
{{ .EndsAt.UTC.Format "2006-01-02 15:04" }} UTC.
{{ end }}
{{ define "glasshouse.text" -}}
{{ range .Alerts.Firing }}{{ template "glasshouse.alert" . }}{{ end -}}
{{ range .Alerts.Resolved }}Resolved: {{ template "glasshouse.resolved" . }}{{ end -}}
{{- end }}
"""


def contact_points() -> dict[str, Json]:
    """The contact point for each value of ALERTS_TO; all have the same name."""
    address: Json = {"url": _ALERT_URL}
    return {
        "nobody": _contact_point("webhook", {"url": _DISCARD_URL, "httpMethod": "POST"}),
        "webhook": _contact_point("webhook", {**address, "httpMethod": "POST", "title": _TITLE, "message": _TEXT}),
        "slack": _contact_point("slack", {**address, "title": _TITLE, "text": _TEXT}),
        "discord": _contact_point("discord", {**address, "title": _TITLE, "message": _TEXT}),
        # Recipients are not secret and come from the environment; the mail server's password is in a file.
        "email": _contact_point(
            "email", {"addresses": "$ALERTS_EMAIL", "singleEmail": True, "subject": _TITLE, "message": _TEXT}
        ),
    }


def _contact_point(kind: str, settings: Json) -> Json:
    # One uid for all: Grafana keeps a receiver whose uid is no longer in the file, and would go on notifying it.
    receiver: Json = {"uid": CONTACT_POINT, "type": kind, "settings": settings}
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": CONTACT_POINT, "receivers": [receiver]}]}


def policies() -> Json:
    """The notification policies: drills and pages at once, tickets once a day and not in quiet hours."""
    # First, so that a drill is grouped apart from real alerts, and neither waits nor is muted.
    drill: Json = {
        "receiver": CONTACT_POINT,
        "object_matchers": [["vm", "=", settings.DRILL_VM]],
        "group_wait": "10s",
        "group_interval": "1m",
        "repeat_interval": "24h",
    }
    page: Json = {
        "receiver": CONTACT_POINT,
        "object_matchers": [["severity", "=", "page"]],
        "group_wait": "10s",
        "group_interval": "2m",
        "repeat_interval": "1h",
    }
    ticket: Json = {
        "receiver": CONTACT_POINT,
        "object_matchers": [["severity", "=", "ticket"]],
        "mute_time_intervals": [MUTE_TIMING],
        "group_wait": "2m",
        "group_interval": "15m",
        "repeat_interval": "24h",
    }
    tree: Json = {
        "orgId": 1,
        "receiver": CONTACT_POINT,
        "group_by": ["grafana_folder", "alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
        "routes": [drill, page, ticket],
    }
    return {"apiVersion": 1, "policies": [tree]}


def quiet_hours() -> dict[str, Json]:
    """The mute timing of tickets for each value of ALERTS_QUIET, in the time zone ALERTS_TIMEZONE; pages have none."""
    night: Json = {
        "times": [{"start_time": "00:00", "end_time": "08:00"}, {"start_time": "20:00", "end_time": "24:00"}],
        "location": "Local",
    }
    weekend: Json = {"weekdays": ["saturday", "sunday"], "location": "Local"}
    return {
        "never": _mute_timing({"years": ["1970"]}),  # the policy refers to it, so it must exist
        "nights": _mute_timing(night),
        "nights-and-weekends": _mute_timing(night, weekend),
    }


def _mute_timing(*intervals: Json) -> Json:
    return {"apiVersion": 1, "muteTimes": [{"orgId": 1, "name": MUTE_TIMING, "time_intervals": list(intervals)}]}


def templates() -> Json:
    """The message templates of all contact points."""
    texts = {"glasshouse.title": _TITLE_TEMPLATE, "glasshouse.text": _TEXT_TEMPLATE}
    return {
        "apiVersion": 1,
        "templates": [{"orgId": 1, "name": name, "template": text} for name, text in texts.items()],
    }
