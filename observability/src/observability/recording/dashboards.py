"""What dashboards read over long ranges: sums of counters, as what came in each step (`queries.gateway.history`)."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import host, node, stack
from observability.queries.gateway import JOB, history, requests
from observability.recording.group import Group

_SCOPE = Scope("1m")
# A gateway that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "15m"


def group() -> Group:
    """Requests and tokens, latencies, and the use of CPUs, which is many series too."""
    by_gateway = {
        history.REQUESTS_BY_ROUTE: (requests.requests(_SCOPE), ("route", "code", "outcome")),
        history.DURATION_BY_ROUTE: (requests.duration_buckets(_SCOPE), ("route", "stream", "le")),
        history.TOKENS: (requests.all_tokens(_SCOPE), ("type",)),
        history.TTFT: (requests.first_token_buckets(_SCOPE), ("le",)),
        history.TPOT: (requests.per_token_buckets(_SCOPE), ("le",)),
    }
    recorded = {name: _increase(counters, JOB, "vm", "model", *by) for name, (counters, by) in by_gateway.items()}
    # Of all routes: a fraction of the series, for most panels.
    recorded[history.REQUESTS] = total(f"{history.REQUESTS_BY_ROUTE}{{}}", "vm", "model", "outcome")
    recorded[history.DURATION] = total(f"{history.DURATION_BY_ROUTE}{{}}", "vm", "model", "le")
    recorded[history.NGINX_OWN] = _increase(stack.nginx_own_responses(_SCOPE), stack.NGINX_JOB, "vm")
    recorded[stack.PROBES], recorded[stack.PROBES_PASSED] = stack.probes(_SCOPE), stack.probes_passed(_SCOPE)
    return Group("glasshouse-dashboards", history.STEP_SECONDS, recorded | {host.CPU_BUSY: node.cpu_busy(_SCOPE)})


def _increase(counters: str, job: str, *by: str) -> str:
    step, delay = history.STEP_SECONDS, settings.SCRAPE_INTERVAL_SECONDS
    return total(increase_between_evaluations(counters, job, step, delay, _LONGEST_GAP), *by)
