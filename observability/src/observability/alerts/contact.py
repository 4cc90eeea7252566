"""Who is told: one contact point and one tree of policies.

Grafana fills in `$NAME` from its environment, and does not start when the address is empty: whoever starts it must set
ALERT_WEBHOOK_URL, to an address that swallows alerts where nobody wants them. `type` and every setting can be such a
variable, and so can the policy's `receiver`: another channel is a line here, not another shape.
"""

Json = dict[str, object]

NAME = "glasshouse"
_GROUP_WAIT, _GROUP_INTERVAL, _REPEAT = "30s", "5m", "4h"


def points() -> Json:
    """The contact point: a webhook."""
    receiver: Json = {
        "uid": "glasshouse-webhook",
        "type": "webhook",
        "settings": {"url": "$ALERT_WEBHOOK_URL", "httpMethod": "POST"},
    }
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
