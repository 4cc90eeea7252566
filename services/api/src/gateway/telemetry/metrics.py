"""Every metric of the gateway: name, labels, buckets. None is defined anywhere else.

Base units (seconds, tokens, US dollars), prefix `gateway_`. Labels come from closed sets: routes from the route table,
models from what engines serve, keys from the keys file. A client's text never becomes a label. The help text says what
a metric is for: the question that an operator asks of it.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

# vLLM's own bounds for vllm:time_to_first_token_seconds, so that ours and the engine's can be subtracted; and 1.5 and
# 2.0, because a quantile is only as exact as the bounds around it, and here the objective is judged.
TTFT_BUCKETS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    *(2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
DURATION_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
# 0.03 and 0.04 for the same reason.
TPOT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
# Powers of 4, up to the longest contexts.
LENGTH_BUCKETS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 131072.0)
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """All metrics, registered in `registry`. Create one per process.

    In a gunicorn worker the values live in memory-mapped files (see `multiprocess.slots`): prometheus-client decides
    that by `prometheus_client.values.ValueClass` at the time of creation.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"gateway_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"gateway_{name}", text, labels, buckets=buckets, registry=registry)

        def summary(name: str, text: str, *labels: str) -> Summary:
            return Summary(f"gateway_{name}", text, labels, registry=registry)

        self.requests_started = counter(
            "requests_started_total",
            "Requests started: finished + in flight + lost with a killed worker.",
            "route",
            "model",
        )
        self.requests = counter(
            "requests_total",
            "Requests finished. code is the status sent to the client, 499 when it disconnected before one was sent.",
            *("route", "model", "stream", "outcome", "code"),
        )
        self.request_duration = histogram(
            "request_duration_seconds", "From the first byte in to the last byte out.", DURATION_BUCKETS,
            *("route", "model", "stream"),
        )  # fmt: skip
        self.time_to_first_token = histogram(
            "time_to_first_token_seconds",
            "Streams that were not cancelled: from the first byte in to the first non-empty token out.",
            TTFT_BUCKETS, "model",
        )  # fmt: skip
        self.time_per_output_token = histogram(
            "time_per_output_token_seconds", "Streams: mean time between output tokens of a request.",
            TPOT_BUCKETS, "model",
        )  # fmt: skip
        self.tokens = counter(
            "tokens_total", "Tokens by the engine's own count. cached_input is part of input, reasoning of output.",
            "model", "type",
        )  # fmt: skip
        self.request_input_tokens = histogram(
            "request_input_tokens", "How long are prompts? Input tokens of a request.", LENGTH_BUCKETS, "model"
        )
        self.request_output_tokens = histogram(
            "request_output_tokens", "How long are answers? Output tokens of a request.", LENGTH_BUCKETS, "model"
        )
        self.key_requests = counter(
            "key_requests_total", "Who calls, and who fails? Requests finished, by key.", "key", "outcome"
        )
        self.key_request_duration = summary(
            "key_request_duration_seconds", "Who waits? From the first byte in to the last byte out, by key.", "key"
        )
        self.key_time_to_first_token = summary(
            "key_time_to_first_token_seconds",
            "Whose streams start slowly? As gateway_time_to_first_token_seconds, by key.",
            "key",
        )
        self.key_tokens = counter("key_tokens_total", "Who spends? Tokens by key.", "key", "type")
        self.inflight = Gauge(
            "gateway_inflight_requests", "Requests started and not finished, in running workers.", ["model"],
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self.auth_failures = counter("auth_failures_total", "Requests without a valid key.", "reason")
        self.timeouts = counter("timeouts_total", "Requests that timed out, by phase.", "phase")
        self.cancellations = counter(
            "cancellations_total", "Requests whose client disconnected, before or after the first event.", "phase"
        )
        self.wasted_tokens = counter(
            "wasted_tokens_total",
            "Output of unfinished requests. Counted in events: an unfinished stream has no usage.",
            *("model", "reason"),
        )
        self.engine_requests = counter("engine_requests_total", "Attempts at an engine, by result.", "engine", "result")
        self.engine_retries = counter("engine_retries_total", "Attempts that were retried on another engine.", "engine")
        self.engine_state = Gauge(
            "gateway_engine_state", "1 for the state an engine is in.", ["engine", "state"],
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.engine_model = Gauge(
            "gateway_engine_model", "1 for a model that an engine lists, 0 when it no longer does.",
            ["engine", "kind", "model"], registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.engine_ejections = counter("engine_ejections_total", "Times an engine was ejected for failing.", "engine")
        self.engine_probes = counter(
            "engine_probes_total",
            "One-token probes that the gateway sent to an engine, by result: its own traffic, not that of users.",
            *("engine", "result"),
        )
        self.engine_probe_tokens = counter(
            "engine_probe_tokens_total", "Tokens of these probes by the engine's own count.", "engine", "type"
        )
        self.event_loop_lag = histogram(
            "event_loop_lag_seconds",
            "How late a timer of the event loop fires: is the gateway itself busy?",
            LAG_BUCKETS,
        )
        self.process_cpu = counter(
            "process_cpu_seconds_total", "Is the gateway's CPU the limit? User and system time of all workers so far."
        )
        self.process_memory = Gauge(
            "gateway_process_resident_memory_bytes", "Does it leak? Resident memory of running workers.",
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self.build_info = Gauge(
            "gateway_build_info", "1 for the version that runs.", ["version"],
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self.worker_up = Gauge("gateway_worker_up", "Running workers.", registry=registry, multiprocess_mode="livesum")
        self.workers_expected = Gauge(
            "gateway_workers_expected",
            "Workers that should be running.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.cost = counter(
            "cost_usd_total",
            "Dollars of an engine's time: paid by requests, idle, or lost with a killed worker. "
            "Their sum is hours times price.",
            *("engine", "part"),
        )
        self.model_cost = counter("model_cost_usd_total", "What does a model cost? Dollars of its requests.", "model")
        self.key_cost = counter("key_cost_usd_total", "Who costs what? Dollars of requests, by key.", "key")
        self.output_equivalent_tokens = counter(
            "output_equivalent_tokens_total",
            "Tokens by which costs were shared out: output, and input by its weight in config/prices.yaml.",
            "model",
        )
        self.hourly_price = Gauge(
            "gateway_hourly_price_usd", "Price of an engine per hour, from ENGINE_PRICES.", ["engine"],
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self.log_lines_lost = counter(
            "log_lines_lost_total",
            "Log lines that could not be written: the reader has stopped or left, or the disk is full.",
        )
        self.label_overflow = counter(
            "label_overflow_total",
            "Requests whose key or model was counted as 'other' in this metric and others: there were too many.",
            "metric",
        )
