"""What dashboards read over long ranges: sums of counters, as what came in each step (`queries.gateway.history`)."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import host, node, stack
from observability.queries.gateway import JOB, history, requests
from observability.recording.group import Group

_SCOPE = Scope("1m")
# A gateway that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "15m"


def counts() -> Group:
    """Requests and tokens."""
    step = history.COUNT_STEP_SECONDS
    return Group(
        "glasshouse-dashboard-counts",
        step,
        {
            history.REQUESTS: _increase(requests.requests(_SCOPE), JOB, step, "vm", "model", "outcome"),
            history.TOKENS: _increase(requests.all_tokens(_SCOPE), JOB, step, "vm", "model", "type"),
            history.NGINX_OWN: _increase(stack.nginx_own_responses(_SCOPE), stack.NGINX_JOB, step, "vm"),
        },
    )


def histograms() -> Group:
    """Latencies, and the use of CPUs, which is many series too."""
    step = history.HISTOGRAM_STEP_SECONDS
    sources = {
        history.DURATION: requests.duration_buckets(_SCOPE),
        history.TTFT: requests.first_token_buckets(_SCOPE),
        history.TPOT: requests.per_token_buckets(_SCOPE),
    }
    recorded = {name: _increase(buckets, JOB, step, "vm", "model", "le") for name, buckets in sources.items()}
    return Group("glasshouse-dashboard-histograms", step, recorded | {host.CPU_BUSY: node.cpu_busy(_SCOPE)})


def _increase(counters: str, job: str, step_seconds: int, *by: str) -> str:
    delay = settings.SCRAPE_INTERVAL_SECONDS
    return total(increase_between_evaluations(counters, job, step_seconds, delay, _LONGEST_GAP), *by)
