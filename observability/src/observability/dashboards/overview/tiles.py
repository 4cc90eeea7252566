"""The numbers on top of the Overview. Those with thresholds cover the whole selected time range."""

from observability import links, settings
from observability.panel import GREEN, RED, Panel, Thresholds, stat
from observability.queries import stack
from observability.queries.gateway import engines, requests
from observability.variables import Variables

_DAY_SECONDS = 86400


def service(variables: Variables) -> tuple[Panel, ...]:
    """What clients get."""
    return (
        stat(
            "Availability",
            "What share of requests was answered completely, client errors and cancelled requests aside?",
            "excludes what nginx rejected and the time in which the gateway was down: see Front door.",
            "percentunit",
            requests.availability(variables.full_range),
            Thresholds.low_is_bad(1 - settings.ERROR_RATIO_LIMIT, settings.AVAILABILITY_OBJECTIVE),
            maximum=1,
            decimals=2,
            drilldown=links.GATEWAY,
            action="Requests by outcome shows how they fail; the alert's section in docs/runbook.md what to do.",
        ),
        stat(
            "Failed requests",
            "What share of requests failed on the server's side?",
            "one minus Availability; the outcomes are below.",
            "percentunit",
            requests.failed_share(variables.full_range),
            Thresholds.high_is_bad(1 - settings.AVAILABILITY_OBJECTIVE, settings.ERROR_RATIO_LIMIT),
            decimals=2,
            drilldown=links.GATEWAY,
        ),
        stat(
            "First token, p95",
            "How long do the slowest 5 % of streams wait at least?",
            "streams only; interpolated within buckets.",
            "s",
            requests.time_to_first_token(variables.full_range, 0.95),
            Thresholds.high_is_bad(settings.TTFT_P95_GOOD_SECONDS, settings.TTFT_P95_LIMIT_SECONDS),
            drilldown=links.ENGINE,
            action="Latency added by the gateway shows who causes it; the Engine dashboard whether requests wait.",
        ),
        stat(
            "Per token, p95",
            "How slow is the output of the slowest 5 %?",
            "the mean of each request: pauses within an answer are hidden.",
            "s",
            requests.time_per_output_token(variables.full_range, 0.95),
            Thresholds.high_is_bad(settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS),
            drilldown=links.ENGINE,
        ),
        stat(
            "Output tokens",
            "How many output tokens per second were there in the last minute?",
            "counted when a request ends: a long answer shows as nothing, and then all at once.",
            "tokens/s",
            requests.output_tokens(variables.now),
            drilldown=links.ENGINE,
        ),
        stat(
            "Cancelled",
            "What share of requests do clients cancel?",
            "does not show why: impatience, a closed tab and a client's timeout look the same.",
            "percentunit",
            requests.cancelled_share(variables.full_range),
            Thresholds.warn(settings.CANCELLED_SHARE_WARN),
            decimals=1,
            drilldown=links.GATEWAY,
        ),
    )


def parts(variables: Variables) -> tuple[Panel, ...]:
    """The current state of the parts."""
    return (
        stat(
            "Front door",
            "Does nginx answer /healthz over TLS with 200, as a load balancer checks it?",
            "probed from inside the stack's network: firewall and DNS faults outside are not detected.",
            "none",
            stack.endpoint_up(variables.now),
            no_value="Not probed",
            value_mappings=((0, "shut", RED), (1, "open", GREEN)),
            action="503: no engine is ready. 502: nginx cannot reach the gateway. No answer: see the log of nginx.",
        ),
        stat(
            "Engines ready",
            "How many engines can answer?",
            "as the gateway sees them; a ready engine can still be slow.",
            "short",
            engines.ready(variables.now),
            Thresholds(RED, ((1, GREEN),)),
            no_value="No gateway",
            drilldown=links.ENGINE,
            action="none: the launcher's /status shows phase and reason.",
        ),
        stat(
            "In flight",
            "How many requests are in progress?",
            "the value at the latest scrape.",
            "short",
            requests.in_flight(variables.now),
            no_value="No gateway",
            drilldown=links.GATEWAY,
        ),
        stat(
            "Targets down",
            "How many targets are down?",
            "targets that are missing from Prometheus' configuration are not counted.",
            "short",
            stack.targets_down(variables.now),
            Thresholds(GREEN, ((1, RED),)),
            no_value="Unknown",
        ),
        stat(
            "GPU memory free",
            "How much memory is free on the fullest GPU?",
            "free for the driver, not for requests: vLLM manages its cache within the memory it reserved at start.",
            "mbytes",
            stack.vram_free(variables.now),
            Thresholds.low_is_bad(settings.VRAM_FREE_LIMIT_MIB, settings.VRAM_FREE_GOOD_MIB),
            no_value="No GPU",
            drilldown=links.GPU,
        ),
        stat(
            "Certificate",
            "How long is the certificate valid?",
            "the first certificate of the chain to expire, as nginx serves it; whether clients trust it is not tested.",
            "days",
            f"({stack.certificate_seconds_left(variables.now)}) / {_DAY_SECONDS}",
            Thresholds.low_is_bad(settings.CERTIFICATE_LIMIT_DAYS, settings.CERTIFICATE_GOOD_DAYS),
            no_value="Not probed",
            decimals=0,
        ),
    )
