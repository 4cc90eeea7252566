"""Who is told: one contact point, in several kinds, and one tree of policies.

Compose mounts the kind that ALERTS_TO names. Its address is a secret, since who knows it can write to the channel:
Grafana reads it from a file. It does not start when that is missing, so the service `init` looks first.
"""

Json = dict[str, object]

NAME = "glasshouse"
# Answers 200 to everything, and keeps nothing.
_NOBODY = "http://blackbox:9115/-/healthy"
_ADDRESS = "$__file{/run/glasshouse/alert-url}"
_GROUP_WAIT, _GROUP_INTERVAL, _REPEAT = "30s", "5m", "4h"


def kinds() -> dict[str, Json]:
    """A contact point for each value of ALERTS_TO, all under one name."""
    address: Json = {"url": _ADDRESS}
    return {
        "nobody": _point("webhook", {"url": _NOBODY, "httpMethod": "POST"}),
        "webhook": _point("webhook", {**address, "httpMethod": "POST"}),
        "slack": _point("slack", address),
        "discord": _point("discord", address),
    }


def _point(kind: str, settings: Json) -> Json:
    # One uid for all kinds: Grafana keeps a receiver whose uid has left the file, and would go on telling it.
    receiver: Json = {"uid": NAME, "type": kind, "settings": settings}
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": NAME, "receivers": [receiver]}]}


def policies() -> Json:
    """Everything goes to the one contact point; a page comes again sooner than a ticket."""
    tree: Json = {
        "orgId": 1,
        "receiver": NAME,
        "group_by": ["grafana_folder", "alertname"],
        "group_wait": _GROUP_WAIT,
        "group_interval": _GROUP_INTERVAL,
        "repeat_interval": "24h",
        "routes": [{"receiver": NAME, "object_matchers": [["severity", "=", "page"]], "repeat_interval": _REPEAT}],
    }
    return {"apiVersion": 1, "policies": [tree]}
