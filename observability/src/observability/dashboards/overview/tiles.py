"""The numbers on top of the Overview: of now, and of the selected time range."""

from observability import links, settings
from observability.panel import GREEN, ORANGE, RED, Panel, Thresholds, stat
from observability.queries import extremes, stack
from observability.queries.gateway import JOB, engines, history, requests
from observability.variables import Variables

_DAY_SECONDS = 86400
_MOST_ENGINES = 9
_ENDPOINT_ACTION = "503: no engine is ready. 502: nginx cannot reach the gateway. No answer: see the log of nginx."
_TTFT = Thresholds.high_is_bad(settings.TTFT_P95_GOOD_SECONDS, settings.TTFT_P95_LIMIT_SECONDS)
_ERRORS = Thresholds.high_is_bad(1 - settings.AVAILABILITY_OBJECTIVE, settings.ERROR_RATIO_LIMIT)


def clients(variables: Variables) -> tuple[Panel, ...]:
    """What clients get now."""
    recent, cell = variables.recent, variables.per_cell
    return (
        stat(
            "HTTPS health check",
            "Does nginx answer /healthz over TLS with 200, as a load balancer checks it?",
            "probed from inside the stack's network: firewall and DNS faults outside are not detected.",
            "none", f"min({stack.endpoint_up(variables.now)})",
            no_value="Not probed", value_mappings=((0, "down", RED), (1, "up", GREEN)), job="probe",
            action=_ENDPOINT_ACTION,
        ),
        stat(
            "Engines ready",
            "How many engines can answer, of how many?",
            "as the gateway sees them; a ready engine can still be slow.",
            "short", engines.ready_of_all(variables.now),
            no_value="No engine", value_mappings=_ready_texts(), job=JOB, drilldown=links.ENGINE,
            action="the launcher's /status shows phase and reason; Engine states below since when.",
        ),
        stat(
            "Request rate (5m)",
            "How many requests finished per second in the last five minutes?",
            "a long stream counts when it ends. Excludes what nginx rejected.",
            "reqps", requests.finished(recent), job=JOB, drilldown=links.GATEWAY,
            sparkline=history.request_rate(cell), step_seconds=history.STEP_SECONDS,
        ),
        stat(
            "Error rate (5m)",
            "What share of requests failed on the server's side in the last five minutes?",
            "excludes client errors, cancelled requests and what nginx answered itself.",
            "percentunit", requests.failed_share(recent), _ERRORS,
            job=JOB, drilldown=links.GATEWAY, decimals=2,
            sparkline=history.failed_share(cell), step_seconds=history.STEP_SECONDS,
            action="Requests by outcome shows how they fail; the alert's section in docs/runbook.md what to do.",
        ),
        stat(
            "E2E latency p95 (5m)",
            "How long did the slowest 5 % of requests take at least, in the last five minutes?",
            "to the last byte: long answers take long by themselves. Interpolated within buckets up to 300 s.",
            "s", requests.duration(recent, 0.95), job=JOB, drilldown=links.GATEWAY,
            sparkline=history.latency(cell, history.DURATION, 0.95), step_seconds=history.STEP_SECONDS,
        ),
        stat(
            "TTFT p95 (5m)",
            "How long did the slowest 5 % of streams wait for the first token, in the last five minutes?",
            "streams only; interpolated within buckets.",
            "s", requests.time_to_first_token(recent, 0.95), _TTFT,
            job=JOB, drilldown=links.ENGINE,
            sparkline=history.latency(cell, history.TTFT, 0.95), step_seconds=history.STEP_SECONDS,
        ),
    )  # fmt: skip


def parts(variables: Variables) -> tuple[Panel, ...]:
    """The state of the parts now."""
    now, cell = variables.now, variables.per_cell
    return (
        stat(
            "Requests in flight",
            "How many requests are in progress?",
            "the value at the latest scrape; includes those that wait in an engine.",
            "short", requests.in_flight(now), job=JOB, drilldown=links.GATEWAY,
            sparkline=extremes.in_flight(cell), step_seconds=extremes.STEP_SECONDS,
        ),
        stat(
            "Output throughput (tok/s)",
            "How many output tokens per second were there in the last minute?",
            "counted when a request ends: a long answer shows as nothing, and then all at once.",
            "tokens/s", requests.output_tokens(now), job=JOB, drilldown=links.ENGINE,
            sparkline=history.token_rate(cell, "output"), step_seconds=history.STEP_SECONDS,
        ),
        stat(
            "Scrape targets down",
            "How many targets are down?",
            "targets that are missing from Prometheus' configuration are not counted.",
            "short", stack.targets_down(now), Thresholds(GREEN, ((1, RED),)),
            no_value="Unknown", action="Scrape targets, in the collapsed row below, shows which.",
        ),
        stat(
            "Cancelled (5m)",
            "What share of requests did clients cancel in the last five minutes?",
            "does not show why: impatience, a closed tab and a client's timeout look the same. Without client errors.",
            "percentunit", requests.cancelled_share(variables.recent), Thresholds.warn(settings.CANCELLED_SHARE_WARN),
            job=JOB, drilldown=links.GATEWAY, decimals=1,
            sparkline=history.cancelled_share(cell), step_seconds=history.STEP_SECONDS,
        ),
        stat(
            "Free GPU memory",
            "How much memory is free on the fullest GPU?",
            "free for the driver, not for requests: vLLM manages its cache within the memory it reserved at start.",
            "mbytes", f"min({stack.vram_free(now)})",
            Thresholds.low_is_bad(settings.VRAM_FREE_LIMIT_MIB, settings.VRAM_FREE_GOOD_MIB),
            no_value="No GPU", job="gpu-exporter", drilldown=links.GPU, part="gpu",
        ),
        stat(
            "Certificate expiry",
            "How long is the certificate valid?",
            "the first certificate of the chain to expire, as nginx serves it; whether clients trust it is not tested.",
            "days", f"min({stack.certificate_seconds_left(now)}) / {_DAY_SECONDS}",
            Thresholds.low_is_bad(settings.CERTIFICATE_LIMIT_DAYS, settings.CERTIFICATE_GOOD_DAYS),
            no_value="Not probed", job="probe", decimals=0,
        ),
    )  # fmt: skip


def selected_range(variables: Variables) -> tuple[Panel, ...]:
    """What clients got in the selected time range."""
    full_range = variables.full_range
    to_the_step = "counted by the minute; the last one may still be missing."
    to_the_minute = "by the minute, the last of which may still be missing; interpolated within buckets."
    return (
        stat(
            "Availability",
            "What share of requests was answered completely, client errors and cancelled requests aside?",
            "counts what nginx answered with a 5xx of its own; what nobody could send, because nothing listened, is in "
            f"HTTPS health check (range). {to_the_step}",
            "percentunit", history.availability(full_range),
            Thresholds.low_is_bad(1 - settings.ERROR_RATIO_LIMIT, settings.AVAILABILITY_OBJECTIVE),
            maximum=1, decimals=2, drilldown=links.GATEWAY, job=JOB,
            action="Requests by outcome shows how they fail; the alert's section in docs/runbook.md what to do.",
        ),
        stat(
            "HTTPS health check",
            "What share of the health checks passed?",
            f"probed every {settings.PROBE_INTERVAL_SECONDS} s: a shorter outage may be missed.",
            "percentunit", stack.endpoint_up_share(full_range),
            Thresholds.low_is_bad(1 - settings.ERROR_RATIO_LIMIT, settings.AVAILABILITY_OBJECTIVE),
            no_value="Not probed", maximum=1, decimals=2, job="probe", action=_ENDPOINT_ACTION,
        ),
        stat(
            "Error rate",
            "What share of requests failed on the server's side?",
            f"excludes client errors, cancelled requests and what nginx answered itself. {to_the_step}",
            "percentunit", history.failed_share(full_range), _ERRORS, decimals=2, drilldown=links.GATEWAY, job=JOB,
        ),
        stat(
            "E2E latency p95",
            "How long did the slowest 5 % of requests take at least?",
            f"to the last byte: long answers take long by themselves. {to_the_minute}",
            "s", history.latency(full_range, history.DURATION, 0.95), drilldown=links.GATEWAY, job=JOB,
        ),
        stat(
            "TTFT p95",
            "How long did the slowest 5 % of streams wait for the first token at least?",
            f"streams only; {to_the_minute}",
            "s", history.latency(full_range, history.TTFT, 0.95), _TTFT, drilldown=links.ENGINE, job=JOB,
            action="Latency added by the gateway shows who causes it; the Engine dashboard whether requests wait.",
        ),
        stat(
            "TPOT p95",
            "How slow was the output of the slowest 5 %?",
            f"the mean of each request: pauses within an answer are hidden; {to_the_minute}",
            "s", history.latency(full_range, history.TPOT, 0.95),
            Thresholds.high_is_bad(settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS),
            drilldown=links.ENGINE, job=JOB,
        ),
    )  # fmt: skip


def _ready_texts() -> tuple[tuple[int, str, str], ...]:
    """The values of `engines.ready_of_all`: green only where all are ready."""
    return tuple(
        (
            ready + engines.ENGINES_FACTOR * known,
            f"{ready} of {known}",
            GREEN if ready == known else ORANGE if ready else RED,
        )
        for known in range(1, _MOST_ENGINES + 1)
        for ready in range(known + 1)
    )
