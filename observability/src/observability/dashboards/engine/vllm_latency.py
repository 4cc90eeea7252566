"""Rows of the Engine dashboard on what vLLM's latency consists of."""

from observability import settings
from observability.dashboards import palette
from observability.panel import BLUE, Panel, Query, Thresholds, graph
from observability.queries import vllm
from observability.variables import Variables

_IDLE = "No traffic, or not scraped"


class LatencyRows:
    """Rows of panels.

    Args:
        variables: those of the dashboard.
    """

    def __init__(self, variables: Variables) -> None:
        self.variables = variables

    def first_token_and_phases(self) -> tuple[Panel, ...]:
        """Where does the time go?"""
        cell = self.variables.per_cell
        return (
            self.quantiles(
                "vLLM TTFT",
                "How long does vLLM take to the first token: queue, prefill and one step?",
                "includes requests without streaming; the time between vLLM and the client is in Latency added by "
                "the gateway.",
                "time_to_first_token_seconds",
                settings.TTFT_P95_LIMIT_SECONDS,
            ),
            graph(
                "vLLM mean time per phase",
                "Which phase of a request is slow: queue, prefill or decode?",
                "means, so that they add up: a few very slow requests can be hidden. Cancelled requests are not "
                "counted.",
                "s",
                8,
                tuple(
                    Query(vllm.of_users(cell, vllm.histogram_mean(cell, f"request_{part}_time_seconds")), part)
                    for part in ("queue", "prefill", "decode")
                ),
                no_value=_IDLE,
                colours=(("queue", palette.CYAN), ("prefill", palette.PURPLE), ("decode", BLUE)),
                stacked=True,
                step_seconds=vllm.STEP_SECONDS,
                action="queue: check whether it is full. Prefill: long prompts, or prompts that the prefix cache "
                "cannot help. Decode: long answers, or a batch too large for the GPU.",
            ),
            self.quantiles(
                "Inter-token latency (ITL)",
                "Does the text stutter?",
                "every gap counts, so that a pause within an answer is visible, unlike in the gateway's metric.",
                "inter_token_latency_seconds",
                settings.TPOT_P95_LIMIT_SECONDS,
            ),
        )

    def whole_requests(self) -> tuple[Panel, ...]:
        """The whole request, its time in the queue, and what a single token costs a request."""
        return (
            self.quantiles(
                "vLLM E2E latency",
                "How long does vLLM take for a whole request?",
                "to the last token: long answers take long by themselves. Cancelled requests are not counted.",
                "e2e_request_latency_seconds",
            ),
            self.quantiles(
                "vLLM queue time",
                "How long do requests wait before they are computed?",
                "of requests that finished; what still waits is in Requests running and waiting. The lowest bucket is "
                "0.3 s: a shorter wait reads as some part of it.",
                "request_queue_time_seconds",
            ),
            self.quantiles(
                "vLLM TPOT",
                "How slow is the output of a request, as the mean of its tokens?",
                "pauses within an answer are hidden: see Inter-token latency (ITL). Requests of a single token "
                "count as 0.",
                "request_time_per_output_token_seconds",
                settings.TPOT_P95_LIMIT_SECONDS,
            ),
        )

    def quantiles(
        self, title: str, question: str, blind_spot: str, histogram: str, limit: float | None = None
    ) -> Panel:
        """p50, p95, p99 and the mean of a histogram in seconds, with a red line at `limit`, a bound of a bucket."""
        cell = self.variables.per_cell
        return graph(
            title,
            question,
            blind_spot,
            "s",
            8,
            (
                *(
                    Query(vllm.of_users(cell, vllm.histogram_quantile(cell, histogram, q)), name)
                    for q, name in palette.QUANTILE_NUMBERS
                ),
                Query(vllm.of_users(cell, vllm.histogram_mean(cell, histogram)), "mean"),
            ),
            no_value=_IDLE,
            thresholds=Thresholds.limit(limit) if limit else Thresholds(),
            colours=palette.QUANTILES_AND_MEAN,
            step_seconds=vllm.STEP_SECONDS,
        )
