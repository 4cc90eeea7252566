"""The numbers on top of the overview. Those that judge do so over the whole time that the reader has chosen."""

from observability import links, settings
from observability.dashboards.tiles import tile
from observability.panel import GREEN, RED, Panel, Thresholds
from observability.queries import gateway, stack
from observability.variables import Choices

_DAY_SECONDS = 86400


def service(choices: Choices) -> tuple[Panel, ...]:
    """What the clients get."""
    return (
        tile(
            "Availability",
            "Of the requests that we are judged by, how many got a whole answer?",
            "leaves out what clients caused or cancelled, what nginx refused, and the time in which the gateway itself "
            "was down: see the front door.",
            "percentunit",
            gateway.availability(choices.over_the_page),
            Thresholds.low_is_bad(1 - settings.ERROR_RATIO_LIMIT, settings.AVAILABILITY_OBJECTIVE),
            maximum=1,
            decimals=2,
            opens=links.GATEWAY,
            then="Requests by outcome says which way they fail; the alert's heading in docs/runbook.md how.",
        ),
        tile(
            "Failed requests",
            "How many requests failed through no fault of the client?",
            "the same requests as Availability, seen from the other side; which way they failed is below.",
            "percentunit",
            gateway.failed_share(choices.over_the_page),
            Thresholds.high_is_bad(1 - settings.AVAILABILITY_OBJECTIVE, settings.ERROR_RATIO_LIMIT),
            decimals=2,
            opens=links.GATEWAY,
        ),
        tile(
            "First token, p95",
            "How long do the slowest 5 % of readers wait at least?",
            "streams only; interpolated between the bounds of buckets.",
            "s",
            gateway.time_to_first_token(choices.over_the_page, 0.95),
            Thresholds.high_is_bad(settings.TTFT_P95_GOOD_SECONDS, settings.TTFT_P95_LIMIT_SECONDS),
            opens=links.ENGINE,
            then="Latency added by the gateway says whose; Engine whether it waits in a queue.",
        ),
        tile(
            "Per token, p95",
            "How slowly does the text appear for the slowest 5 %?",
            "each request counts with its mean: a pause within an answer does not show.",
            "s",
            gateway.time_per_output_token(choices.over_the_page, 0.95),
            Thresholds.high_is_bad(settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS),
            opens=links.ENGINE,
        ),
        tile(
            "Output tokens",
            "How much text per second, over the last minute?",
            "tokens count when their request ends: one long answer reads as none, then as many.",
            "tokens/s",
            gateway.output_tokens(choices.now),
            opens=links.ENGINE,
        ),
        tile(
            "Cancelled",
            "How many clients leave before the end?",
            "tells not why: impatience, a closed tab and a client's own timeout look the same.",
            "percentunit",
            gateway.cancelled_share(choices.over_the_page),
            Thresholds.notable(settings.CANCELLED_SHARE_NOTABLE),
            decimals=1,
            opens=links.GATEWAY,
        ),
    )


def parts(choices: Choices) -> tuple[Panel, ...]:
    """What the parts say of themselves, now."""
    return (
        tile(
            "Front door",
            "Does nginx answer /healthz over TLS, as a load balancer asks it?",
            "asked from inside the stack's network: a firewall or DNS fault before it is not seen.",
            "none",
            stack.front_door(choices.now),
            nothing="Not probed",
            words=((0, "shut", RED), (1, "open", GREEN)),
            then="503: no engine is ready. 502: nginx does not reach the gateway. No answer: see its log.",
        ),
        tile(
            "Engines ready",
            "How many engines can answer?",
            "as the gateway sees them; one that is ready can still be slow.",
            "short",
            gateway.engines_ready(choices.now),
            Thresholds(RED, ((1, GREEN),)),
            nothing="No gateway",
            opens=links.ENGINE,
            then="none: /status of its launcher names phase and reason.",
        ),
        tile(
            "In flight",
            "How many requests are being answered now?",
            "the value at the latest scrape.",
            "short",
            gateway.in_flight(choices.now),
            nothing="No gateway",
            opens=links.GATEWAY,
        ),
        tile(
            "Targets down",
            "How many parts do not answer Prometheus?",
            "a part that Prometheus is not told to scrape cannot be missed here.",
            "short",
            stack.targets_down(choices.now),
            Thresholds(GREEN, ((1, RED),)),
            nothing="Not known",
        ),
        tile(
            "GPU memory free",
            "Is there room left on the fullest GPU?",
            "free for the driver, not for requests: vLLM keeps its own cache within what it took at start.",
            "mbytes",
            stack.vram_free(choices.now),
            Thresholds.low_is_bad(settings.VRAM_FREE_LIMIT_MIB, settings.VRAM_FREE_GOOD_MIB),
            nothing="No GPU",
            opens=links.GPU,
        ),
        tile(
            "Certificate",
            "How long is the certificate good for?",
            "the first of its chain to expire, as nginx serves it now; whether clients trust it is not tested.",
            "days",
            f"({stack.certificate_seconds_left(choices.now)}) / {_DAY_SECONDS}",
            Thresholds.low_is_bad(settings.CERTIFICATE_LIMIT_DAYS, settings.CERTIFICATE_GOOD_DAYS),
            nothing="Not probed",
            decimals=0,
        ),
    )
