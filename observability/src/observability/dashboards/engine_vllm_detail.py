"""vLLM by model and server, how its requests end, what they are like, and how it is set up."""

from observability import links
from observability.dashboards import palette
from observability.panel import Key, Panel, Query, Thresholds, graph, table
from observability.queries import vllm
from observability.variables import Choices

NO_VLLM = "No vLLM, or no traffic"


class Details:
    """Rows of panels.

    Args:
        choices: What the reader has narrowed the dashboard down to.
    """

    def __init__(self, choices: Choices) -> None:
        self.choices = choices

    def tables(self) -> tuple[Panel, ...]:
        """By model, and by server."""
        return (
            table(
                "vLLM by model",
                "Which model is the load, and which one is slow? A click on it narrows this page down to it.",
                "over the whole time shown; ITL is the time between tokens. LoRA adapters count under their base "
                "model's server.",
                "short",
                12,
                self._columns("model_name"),
                nothing=NO_VLLM,
                keys=(Key("model_name", "Model", links.ENGINE, "model"),),
            ),
            table(
                "vLLM by server",
                "Which server differs from the others? A click on it narrows this page down to it.",
                "with data parallelism the engines of one server are added up.",
                "short",
                12,
                self._columns(*vllm.SERVER),
                nothing=NO_VLLM,
                keys=(Key("instance", "Server", links.ENGINE, "instance"), Key("vm", "VM", width=90)),
            ),
        )

    def _columns(self, *by: str) -> tuple[Query, ...]:
        page, now = self.choices.over_the_page, self.choices.now
        return (
            Query(vllm.generated(page, *by), "Tokens/s"),
            Query(vllm.running(now, *by), "Running"),
            Query(vllm.waiting(now, *by), "Waiting"),
            Query(vllm.quantile_of(page, "time_to_first_token_seconds", 0.95, *by), "TTFT p95", "s"),
            Query(vllm.quantile_of(page, "inter_token_latency_seconds", 0.95, *by), "ITL p95", "s"),
        )

    def requests(self) -> tuple[Panel, ...]:
        """How they end, and their shape."""
        at = self.choices.at_each_point
        lengths = (("prompt", "request_prompt_tokens"), ("answer", "request_generation_tokens"))
        return (
            graph(
                "vLLM requests by how they ended",
                "Do answers end by themselves, or at a limit?",
                "requests whose client left are counted nowhere here: see Work that was cut short. length: max_tokens "
                "or the context was reached.",
                "reqps",
                12,
                (Query(vllm.rate_of(at, "request_success_total", "finished_reason"), "{{finished_reason}}"),),
                nothing=NO_VLLM,
                colours=(
                    ("stop", "green"), ("length", "blue"), ("abort", "#8e8e8e"), ("error", "purple"),
                    ("repetition", "orange"),
                ),
                stacked=True,
            ),
            graph(
                "vLLM length of prompts and answers",
                "What kind of requests are these?",
                "interpolated between the bounds of buckets (1, 2, 5, 10, 20, 50 …).",
                "tokens",
                12,
                tuple(
                    Query(vllm.quantile_of(at, metric, number), f"{what} {name}")
                    for what, metric in lengths
                    for number, name in palette.QUANTILE_NUMBERS[:2]
                ),
                nothing=NO_VLLM,
                colours=(
                    ("prompt p50", "light-blue"), ("prompt p95", "blue"), ("answer p50", "light-green"),
                    ("answer p95", "green"),
                ),
                smooth=True,
            ),
        )  # fmt: skip

    def process(self) -> tuple[Panel, ...]:
        """The server's process, and its cache's configuration."""
        at, now = self.choices.at_each_point, self.choices.now
        return (
            graph(
                "vLLM server's CPU",
                "Is vLLM's own HTTP server the bottleneck?",
                "the process that serves HTTP; the engine is another one and not in it. One core is its limit.",
                "short",
                6,
                (Query(vllm.cores_used(at), "{{instance}} {{vm}}"),),
                nothing=NO_VLLM,
                thresholds=Thresholds("text", ((0.9, "orange"),)),
            ),
            graph(
                "vLLM server's memory",
                "Does vLLM's HTTP server leak memory?",
                "main memory of the serving process alone, not of the engine, and not the GPU's.",
                "bytes",
                6,
                (Query(vllm.resident_bytes(at), "{{instance}} {{vm}}"),),
                nothing=NO_VLLM,
            ),
            table(
                "vLLM cache configuration",
                "With which memory for requests does it run?",
                "as vLLM resolved it at its start, not as it was asked for.",
                "none",
                12,
                (Query(vllm.configuration(now, *(label for label, _ in _CONFIGURATION)), "Up"),),
                nothing="No vLLM",
                keys=(
                    Key("instance", "Server"),
                    Key("vm", "VM"),
                    *(Key(label, title) for label, title in _CONFIGURATION),
                ),
            ),
        )

    def quantiles(self, title: str, question: str, blind_spot: str, histogram: str, limit: float) -> Panel:
        """p50, p95, p99 and the mean of a histogram in seconds, with a red line at `limit`."""
        at = self.choices.at_each_point
        return graph(
            title,
            question,
            blind_spot,
            "s",
            8,
            (
                *(Query(vllm.quantile_of(at, histogram, q), name) for q, name in palette.QUANTILE_NUMBERS),
                Query(vllm.mean_of(at, histogram), "mean"),
            ),
            nothing=NO_VLLM,
            thresholds=Thresholds.limit(limit),
            colours=palette.QUANTILES_AND_MEAN,
            smooth=True,
        )


_CONFIGURATION = (
    ("num_gpu_blocks", "Blocks"),
    ("block_size", "Tokens a block"),
    ("kv_cache_size_tokens", "Tokens in all"),
    ("cache_dtype", "Type"),
    ("gpu_memory_utilization", "Share of the GPU"),
    ("enable_prefix_caching", "Prefix cache"),
)
