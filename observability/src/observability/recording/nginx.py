"""nginx's requests and connections, for graphs over long ranges (`queries.stack`)."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import stack
from observability.queries.gateway import history
from observability.recording.group import Group

_SCOPE = Scope("1m")
_GAUGES = Scope("70s", extremes=True)
# An exporter that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "15m"
_COUNTERS = {
    stack.NGINX_REQUESTS: "nginx_http_requests_total",
    stack.NGINX_ACCEPTED: "nginx_connections_accepted",
    stack.NGINX_HANDLED: "nginx_connections_handled",
}


def group() -> Group:
    """By VM."""
    connections = {name: stack.nginx_connections(_GAUGES, state, "vm") for state, name in stack.NGINX_STATES.items()}
    counters = {name: _increase(counter) for name, counter in _COUNTERS.items()}
    return Group("glasshouse-nginx", history.STEP_SECONDS, counters | connections)


def _increase(counter: str) -> str:
    counters, step, delay = stack.nginx_series(_SCOPE, counter), history.STEP_SECONDS, settings.SCRAPE_INTERVAL_SECONDS
    return total(increase_between_evaluations(counters, stack.NGINX_JOB, step, delay, _LONGEST_GAP), "vm")
