"""Rows of the Engine dashboard that only vLLM has."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import ORANGE, Key, Panel, Query, Thresholds, graph, heatmap, largest, table
from observability.queries import extremes, vllm
from observability.variables import Variables

_NO_VLLM = "vLLM not scraped"
_IDLE = "No traffic, or not scraped"
_MOST_ROWS = 20
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

    def memory(self) -> tuple[Panel, ...]:
        """Is there room for the requests?"""
        cell = self.variables.per_cell
        return (
            graph(
                "vLLM KV cache usage",
                "How full is the memory for running requests?",
                "the highest value in each interval; blocks that cache a prefix count as free. Near 100 % is normal "
                "under load; waiting requests and preemptions at the same time are not.",
                "percentunit",
                8,
                (Query(extremes.kv_cache_used(cell), "{{instance}} {{vm}}"),),
                no_value=_NO_VLLM,
                thresholds=Thresholds("text", ((settings.KV_CACHE_WARN, ORANGE),)),
                maximum=1,
                step_seconds=extremes.STEP_SECONDS,
            ),
            graph(
                "vLLM preemptions",
                "Are running requests preempted for lack of KV cache?",
                "shows how often, not which requests; a preempted request is computed again.",
                "ops",
                8,
                (Query(vllm.counter_rate(cell, "num_preemptions_total", *vllm.SERVER), "{{instance}} {{vm}}"),),
                no_value=_NO_VLLM,
                step_seconds=vllm.STEP_SECONDS,
                action="lower max_num_seqs or max_model_len in the model's file, or raise gpu_memory_utilization.",
            ),
            graph(
                "vLLM admission rejections",
                "Does vLLM reject requests?",
                "only where max_num_queued_reqs or max_num_queued_tokens is set; otherwise all wait. Not by engine "
                "of a server.",
                "reqps",
                8,
                (Query(vllm.counter_rate(cell, "admission_rejections_total", "reason"), "{{reason}}"),),
                no_value=_NO_VLLM,
                step_seconds=vllm.STEP_SECONDS,
            ),
        )

    def tables(self) -> tuple[Panel, ...]:
        """By model, and by server."""
        return (
            table(
                "vLLM by model",
                "Which model has the load, and which one is slow? Click a model to filter by it.",
                "over the selected time range, the 20 with the highest throughput; ITL is the inter-token latency. "
                "LoRA adapters count under their base model. The gateway's probes of an idle engine are included.",
                "short",
                9,
                self._columns("model_name"),
                no_value=_NO_VLLM,
                keys=(Key("model_name", "Model", links.ENGINE, "model"),),
            ),
            table(
                "vLLM by server",
                "Which server differs from the others? Click a server to filter by it.",
                "with data parallelism, the engines of a server are summed.",
                "short",
                9,
                self._columns(*vllm.SERVER),
                no_value=_NO_VLLM,
                keys=(Key("instance", "Server", links.ENGINE, "instance"), Key("vm", "VM", width=90)),
            ),
            table(
                "vLLM LoRA adapters in use",
                "Which adapters do requests use or wait for, and how many fit at once?",
                "the latest report; vLLM reports with each step, so an idle server's is old.",
                "s",
                6,
                (Query(vllm.lora_adapters(self.variables.now), "Age"),),
                no_value="No LoRA (enable-lora)",
                needs="needs-lora",
                keys=(
                    Key("running_lora_adapters", "Running", width=110),
                    Key("waiting_lora_adapters", "Waiting", width=80),
                    Key("max_lora", "Max", width=50),
                    Key("instance", "Server"),
                    Key("vm", "VM"),
                ),
            ),
        )

    def _columns(self, *by: str) -> tuple[Query, ...]:
        full_range, now = self.variables.full_range, self.variables.now
        columns = (
            Query(vllm.generated(full_range, *by), "Tokens/s"),
            Query(vllm.running(now, *by), "Running"),
            Query(vllm.waiting(now, *by), "Waiting"),
            Query(vllm.histogram_quantile(full_range, "time_to_first_token_seconds", 0.95, *by), "TTFT p95", "s"),
            Query(vllm.histogram_quantile(full_range, "inter_token_latency_seconds", 0.95, *by), "ITL p95", "s"),
        )
        return largest(_MOST_ROWS, ", ".join(by), columns)

    def requests(self) -> tuple[Panel, ...]:
        """How they end, and their shape."""
        interval, cell = self.variables.per_interval, self.variables.per_cell
        lengths = (("prompt", "request_prompt_tokens"), ("output", "request_generation_tokens"))
        return (
            graph(
                "vLLM finish reasons",
                "Do answers end by themselves or at a limit?",
                "cancelled requests are not counted here: see Aborted and failed upstream requests. length: max_tokens "
                "or the context size was reached.",
                "reqps",
                6,
                (Query(vllm.finished_requests(interval), "{{finished_reason}}"),),
                no_value=_NO_VLLM,
                colours=(
                    ("stop", "green"), ("length", "blue"), ("abort", "#8e8e8e"), ("error", palette.CYAN),
                    ("repetition", "orange"),
                ),
                stacked=True,
            ),
            graph(
                "vLLM prompt and output length",
                "How long are prompts and outputs?",
                "interpolated within buckets (1, 2, 5, 10, 20, 50 …).",
                "tokens",
                6,
                tuple(
                    Query(vllm.of_users(interval, vllm.histogram_quantile(interval, metric, number)), f"{what} {name}")
                    for what, metric in lengths
                    for number, name in palette.QUANTILE_NUMBERS[:2]
                ),
                no_value=_NO_VLLM,
                colours=(
                    ("prompt p50", palette.CYAN), ("prompt p95", "blue"), ("output p50", palette.LIME),
                    ("output p95", "green"),
                ),
                smooth=True,
            ),
            *(
                heatmap(
                    f"vLLM {what} length distribution",
                    f"How are the lengths of {what}s distributed?",
                    "buckets of vLLM (1, 2, 5, 10, 20, 50 …); the last bound is 2,000 tokens or what the model allows.",
                    "tokens",
                    6,
                    (Query(vllm.of_users(cell, vllm.lengths(cell, metric)), "{{le}}"),),
                    no_value=_IDLE,
                )
                for what, metric in lengths
            ),
        )  # fmt: skip

    def process(self) -> tuple[Panel, ...]:
        """The server's process, and its cache's configuration."""
        interval, now = self.variables.per_interval, self.variables.now
        return (
            graph(
                "vLLM server CPU usage",
                "Is vLLM's own HTTP server the bottleneck?",
                "only the process that serves HTTP, not the engine. Its limit is one core.",
                "short",
                6,
                (Query(vllm.cpu_cores(interval), "{{instance}} {{vm}}"),),
                no_value=_NO_VLLM,
                thresholds=Thresholds("text", ((0.9, "orange"),)),
            ),
            graph(
                "vLLM server memory usage",
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
