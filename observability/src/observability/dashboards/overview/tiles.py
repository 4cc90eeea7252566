"""The numbers on top of the overview. Those that judge do so over the whole time that the reader has chosen."""

from observability import links, settings
from observability.panel import GREEN, RED, Panel, Thresholds, stat
from observability.queries import stack
from observability.queries.gateway import engines, requests
from observability.variables import Variables

_DAY_SECONDS = 86400


def service(variables: Variables) -> tuple[Panel, ...]:
    """What the clients get."""
    return (
        stat(
            "Availability",
            "Of the requests that we are judged by, how many got a whole answer?",
            "leaves out what clients caused or cancelled, what nginx refused, and the time in which the gateway itself "
            "was down: see the front door.",
            "percentunit",
            requests.availability(variables.full_range),
            Thresholds.low_is_bad(1 - settings.ERROR_RATIO_LIMIT, settings.AVAILABILITY_OBJECTIVE),
            maximum=1,
            decimals=2,
            drilldown=links.GATEWAY,
            action="Requests by outcome says which way they fail; the alert's heading in docs/runbook.md how.",
        ),
        stat(
            "Failed requests",
            "How many requests failed through no fault of the client?",
            "the same requests as Availability, seen from the other side; which way they failed is below.",
            "percentunit",
            requests.failed_share(variables.full_range),
            Thresholds.high_is_bad(1 - settings.AVAILABILITY_OBJECTIVE, settings.ERROR_RATIO_LIMIT),
            decimals=2,
            drilldown=links.GATEWAY,
        ),
        stat(
            "First token, p95",
            "How long do the slowest 5 % of readers wait at least?",
            "streams only; interpolated between the bounds of buckets.",
            "s",
            requests.time_to_first_token(variables.full_range, 0.95),
            Thresholds.high_is_bad(settings.TTFT_P95_GOOD_SECONDS, settings.TTFT_P95_LIMIT_SECONDS),
            drilldown=links.ENGINE,
            action="Latency added by the gateway says whose; Engine whether it waits in a queue.",
        ),
        stat(
            "Per token, p95",
            "How slowly does the text appear for the slowest 5 %?",
            "each request counts with its mean: a pause within an answer does not show.",
            "s",
            requests.time_per_output_token(variables.full_range, 0.95),
            Thresholds.high_is_bad(settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS),
            drilldown=links.ENGINE,
        ),
        stat(
            "Output tokens",
            "How much text per second, over the last minute?",
            "tokens count when their request ends: one long answer reads as none, then as many.",
            "tokens/s",
            requests.output_tokens(variables.now),
            drilldown=links.ENGINE,
        ),
        stat(
            "Cancelled",
            "How many clients leave before the end?",
            "tells not why: impatience, a closed tab and a client's own timeout look the same.",
            "percentunit",
            requests.cancelled_share(variables.full_range),
            Thresholds.warn(settings.CANCELLED_SHARE_WARN),
            decimals=1,
            drilldown=links.GATEWAY,
        ),
    )


def parts(variables: Variables) -> tuple[Panel, ...]:
    """What the parts say of themselves, now."""
    return (
        stat(
            "Front door",
            "Does nginx answer /healthz over TLS, as a load balancer asks it?",
            "asked from inside the stack's network: a firewall or DNS fault before it is not seen.",
            "none",
            stack.endpoint_up(variables.now),
            no_value="Not probed",
            value_mappings=((0, "shut", RED), (1, "open", GREEN)),
            action="503: no engine is ready. 502: nginx does not reach the gateway. No answer: see its log.",
        ),
        stat(
            "Engines ready",
            "How many engines can answer?",
            "as the gateway sees them; one that is ready can still be slow.",
            "short",
            engines.ready(variables.now),
            Thresholds(RED, ((1, GREEN),)),
            no_value="No gateway",
            drilldown=links.ENGINE,
            action="none: /status of its launcher names phase and reason.",
        ),
        stat(
            "In flight",
            "How many requests are being answered now?",
            "the value at the latest scrape.",
            "short",
            requests.in_flight(variables.now),
            no_value="No gateway",
            drilldown=links.GATEWAY,
        ),
        stat(
            "Targets down",
            "How many parts do not answer Prometheus?",
            "a part that Prometheus is not told to scrape cannot be missed here.",
            "short",
            stack.targets_down(variables.now),
            Thresholds(GREEN, ((1, RED),)),
            no_value="Not known",
        ),
        stat(
            "GPU memory free",
            "Is there room left on the fullest GPU?",
            "free for the driver, not for requests: vLLM keeps its own cache within what it took at start.",
            "mbytes",
            stack.vram_free(variables.now),
            Thresholds.low_is_bad(settings.VRAM_FREE_LIMIT_MIB, settings.VRAM_FREE_GOOD_MIB),
            no_value="No GPU",
            drilldown=links.GPU,
        ),
        stat(
            "Certificate",
            "How long is the certificate good for?",
            "the first of its chain to expire, as nginx serves it now; whether clients trust it is not tested.",
            "days",
            f"({stack.certificate_seconds_left(variables.now)}) / {_DAY_SECONDS}",
            Thresholds.low_is_bad(settings.CERTIFICATE_LIMIT_DAYS, settings.CERTIFICATE_GOOD_DAYS),
            no_value="Not probed",
            decimals=0,
        ),
    )
