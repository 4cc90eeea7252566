"""Rows of the Engine dashboard that only vLLM has."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import BLUE, ORANGE, Key, Panel, Query, Thresholds, graph, table
from observability.queries import vllm
from observability.variables import Variables

_NO_VLLM = "No vLLM, or no traffic"
_CONFIGURATION = (
    ("num_gpu_blocks", "Blocks"),
    ("block_size", "Tokens a block"),
    ("kv_cache_size_tokens", "Tokens in all"),
    ("cache_dtype", "Type"),
    ("gpu_memory_utilization", "Share of the GPU"),
    ("enable_prefix_caching", "Prefix cache"),
)


class VllmRows:
    """Rows of panels.

    Args:
        variables: those of the dashboard.
    """

    def __init__(self, variables: Variables) -> None:
        self.variables = variables

    def latency(self) -> tuple[Panel, ...]:
        """Where does the time go?"""
        interval = self.variables.per_interval
        parts = (("queue", "queue"), ("prefill", "prefill"), ("decode", "decode"))
        return (
            self.quantiles(
                "vLLM time to first token",
                "How long does vLLM take to the first token: queue, prefill and one step?",
                "includes requests without streaming; the time between vLLM and the client is in Latency added by "
                "the gateway.",
                "time_to_first_token_seconds",
                settings.TTFT_P95_LIMIT_SECONDS,
            ),
            graph(
                "vLLM mean time by part of a request",
                "Which part of a request is slow: queue, prefill or decode?",
                "means, so that they add up: a few very slow requests can be hidden. Cancelled requests are not "
                "counted.",
                "s",
                8,
                tuple(
                    Query(vllm.histogram_mean(interval, f"request_{part}_time_seconds"), name) for part, name in parts
                ),
                no_value=_NO_VLLM,
                colours=(("queue", ORANGE), ("prefill", "purple"), ("decode", BLUE)),
                stacked=True,
                smooth=True,
                action="queue: check whether it is full. Prefill: long prompts, or prompts that the prefix cache "
                "cannot help. Decode: long answers, or a batch too large for the GPU.",
            ),
            self.quantiles(
                "vLLM time between tokens",
                "Does the text stutter?",
                "every gap counts, so that a pause within an answer is visible, unlike in the gateway's metric.",
                "inter_token_latency_seconds",
                settings.TPOT_P95_LIMIT_SECONDS,
            ),
        )

    def memory(self) -> tuple[Panel, ...]:
        """Is there room for the requests?"""
        interval = self.variables.per_interval
        return (
            graph(
                "vLLM KV cache in use",
                "How full is the memory for running requests?",
                "blocks that cache a prefix count as free. Near 100 % is normal under load; waiting requests and "
                "preemptions at the same time are not.",
                "percentunit",
                8,
                (Query(vllm.kv_cache_used(interval, *vllm.SERVER), "{{instance}} {{vm}}"),),
                no_value=_NO_VLLM,
                thresholds=Thresholds("text", ((settings.KV_CACHE_WARN, ORANGE),)),
                maximum=1,
            ),
            graph(
                "vLLM preemptions",
                "Are running requests preempted for lack of KV cache?",
                "shows how often, not which requests; a preempted request is computed again.",
                "ops",
                8,
                (Query(vllm.counter_rate(interval, "num_preemptions_total", *vllm.SERVER), "{{instance}} {{vm}}"),),
                no_value=_NO_VLLM,
                action="lower max_num_seqs or max_model_len in the model's file, or raise gpu_memory_utilization.",
            ),
            graph(
                "vLLM refusals at admission",
                "Does vLLM reject requests?",
                "only where max_num_queued_reqs or max_num_queued_tokens is set; otherwise all wait. Not by engine "
                "of a server.",
                "reqps",
                8,
                (Query(vllm.counter_rate(interval, "admission_rejections_total", "reason"), "{{reason}}"),),
                no_value=_NO_VLLM,
            ),
        )

    def tables(self) -> tuple[Panel, ...]:
        """By model, and by server."""
        return (
            table(
                "vLLM by model",
                "Which model has the load, and which one is slow? Click a model to filter by it.",
                "over the selected time range; ITL is the inter-token latency. LoRA adapters count under their base "
                "model's server.",
                "short",
                12,
                self._columns("model_name"),
                no_value=_NO_VLLM,
                keys=(Key("model_name", "Model", links.ENGINE, "model"),),
            ),
            table(
                "vLLM by server",
                "Which server differs from the others? Click a server to filter by it.",
                "with data parallelism, the engines of a server are summed.",
                "short",
                12,
                self._columns(*vllm.SERVER),
                no_value=_NO_VLLM,
                keys=(Key("instance", "Server", links.ENGINE, "instance"), Key("vm", "VM", width=90)),
            ),
        )

    def _columns(self, *by: str) -> tuple[Query, ...]:
        full_range, now = self.variables.full_range, self.variables.now
        return (
            Query(vllm.generated(full_range, *by), "Tokens/s"),
            Query(vllm.running(now, *by), "Running"),
            Query(vllm.waiting(now, *by), "Waiting"),
            Query(vllm.histogram_quantile(full_range, "time_to_first_token_seconds", 0.95, *by), "TTFT p95", "s"),
            Query(vllm.histogram_quantile(full_range, "inter_token_latency_seconds", 0.95, *by), "ITL p95", "s"),
        )

    def requests(self) -> tuple[Panel, ...]:
        """How they end, and their shape."""
        interval = self.variables.per_interval
        lengths = (("prompt", "request_prompt_tokens"), ("answer", "request_generation_tokens"))
        return (
            graph(
                "vLLM requests by how they ended",
                "Do answers end by themselves or at a limit?",
                "cancelled requests are not counted here: see Work that was cut short. length: max_tokens or the "
                "context size was reached.",
                "reqps",
                12,
                (Query(vllm.finished_requests(interval), "{{finished_reason}}"),),
                no_value=_NO_VLLM,
                colours=(
                    ("stop", "green"), ("length", "blue"), ("abort", "#8e8e8e"), ("error", "purple"),
                    ("repetition", "orange"),
                ),
                stacked=True,
            ),
            graph(
                "vLLM length of prompts and answers",
                "How long are prompts and answers?",
                "interpolated within buckets (1, 2, 5, 10, 20, 50 …).",
                "tokens",
                12,
                tuple(
                    Query(vllm.histogram_quantile(interval, metric, number), f"{what} {name}")
                    for what, metric in lengths
                    for number, name in palette.QUANTILE_NUMBERS[:2]
                ),
                no_value=_NO_VLLM,
                colours=(
                    ("prompt p50", "light-blue"), ("prompt p95", "blue"), ("answer p50", "light-green"),
                    ("answer p95", "green"),
                ),
                smooth=True,
            ),
        )  # fmt: skip

    def process(self) -> tuple[Panel, ...]:
        """The server's process, and its cache's configuration."""
        interval, now = self.variables.per_interval, self.variables.now
        return (
            graph(
                "vLLM server's CPU",
                "Is vLLM's own HTTP server the bottleneck?",
                "only the process that serves HTTP, not the engine. Its limit is one core.",
                "short",
                6,
                (Query(vllm.cpu_cores(interval), "{{instance}} {{vm}}"),),
                no_value=_NO_VLLM,
                thresholds=Thresholds("text", ((0.9, "orange"),)),
            ),
            graph(
                "vLLM server's memory",
                "Does vLLM's HTTP server leak memory?",
                "main memory of the HTTP process only, not the engine's and not GPU memory.",
                "bytes",
                6,
                (Query(vllm.resident_bytes(interval), "{{instance}} {{vm}}"),),
                no_value=_NO_VLLM,
            ),
            table(
                "vLLM cache configuration",
                "How is the KV cache configured?",
                "as vLLM resolved it at start, which can differ from its settings.",
                "none",
                12,
                (Query(vllm.configuration(now, *(label for label, _ in _CONFIGURATION)), "Up"),),
                no_value="No vLLM",
                keys=(
                    Key("instance", "Server"),
                    Key("vm", "VM"),
                    *(Key(label, title) for label, title in _CONFIGURATION),
                ),
            ),
        )

    def quantiles(self, title: str, question: str, blind_spot: str, histogram: str, limit: float) -> Panel:
        """p50, p95, p99 and the mean of a histogram in seconds, with a red line at `limit`."""
        interval = self.variables.per_interval
        return graph(
            title,
            question,
            blind_spot,
            "s",
            8,
            (
                *(Query(vllm.histogram_quantile(interval, histogram, q), name) for q, name in palette.QUANTILE_NUMBERS),
                Query(vllm.histogram_mean(interval, histogram), "mean"),
            ),
            no_value=_NO_VLLM,
            thresholds=Thresholds.limit(limit),
            colours=palette.QUANTILES_AND_MEAN,
            smooth=True,
        )
