"""Rows of the Engine dashboard that ask vLLM and llama.cpp the same; a stack with only one of them fills them too."""

from observability import links
from observability.dashboards import palette
from observability.panel import (
    GREEN,
    STAT_WIDTH,
    Panel,
    Query,
    Thresholds,
    graph,
    stat,
)
from observability.queries import launchers, llamacpp, vllm
from observability.queries.gateway import requests
from observability.variables import Variables

_NONE = "No engine is scraped"


class CommonRows:
    """Each method is a row.

    Args:
        choices: What the reader has narrowed the dashboard down to.
    """

    def __init__(self, variables: Variables) -> None:
        self.variables = variables

    def tiles(self) -> tuple[Panel, ...]:
        """What must not be missed."""
        now, full_range = self.variables.now, self.variables.full_range
        return (
            stat(
                "Ready for", "Since when can the engine that became ready last answer?",
                "its launcher's word; a start resets it.", "s", f"min({launchers.ready_seconds(now)})",
                no_value="No engine is ready", decimals=0,
            ),
            stat(
                "Starts", "How often were engines started in the time shown?",
                "a start that a deploy asked for counts like one after a crash.", "short",
                f"sum({launchers.starts(full_range)})", Thresholds.warn(2), no_value="No launcher is scraped", decimals=0,
                action="the launcher's log says why the engine before it ended.",
            ),
            self._pair(
                "Running", "How many requests are in work?", "the value at the latest scrape.", "short",
                vllm.running(now), llamacpp.running(now),
            ),
            self._pair(
                "Waiting", "How many requests has an engine taken and not begun?", "the value at the latest scrape.",
                "short", vllm.waiting(now), llamacpp.waiting(now), Thresholds.warn(1),
            ),
            self._pair(
                "Output, tokens a second", "How many tokens do the engines produce?",
                "those that nobody reads to the end are among them; llama.cpp counts an answer when it ends.",
                "short", vllm.generated(now), llamacpp.generated(now),
            ),
            stat(
                "Between tokens, p95", "Does the text come fast enough for a reader, in the time shown?",
                "as the gateway measured it: each request counts with its mean; streams only.", "s",
                requests.time_per_output_token(full_range, 0.95), palette.TPOT, drilldown=links.GATEWAY,
            ),
        )  # fmt: skip

    def load(self) -> tuple[Panel, ...]:
        """Is it full?"""
        interval = self.variables.per_interval
        return (
            graph(
                "Requests running and waiting",
                "Do requests wait, and for what?",
                "the value at each scrape. vLLM waits for room in the batch or the KV cache; deferred: for a LoRA "
                "budget or a transfer. With all of llama.cpp's slots taken, the one that waits may be the scrape "
                "itself.",
                "short",
                12,
                (
                    Query(vllm.running(interval), "vLLM running"),
                    Query(vllm.waiting_by_reason(interval, "capacity"), "vLLM waiting"),
                    Query(vllm.waiting_by_reason(interval, "deferred"), "vLLM deferred"),
                    Query(llamacpp.running(interval), "llama.cpp running"),
                    Query(llamacpp.waiting(interval), "llama.cpp waiting"),
                ),
                no_value=_NONE,
                colours=palette.LOAD,
                action="waiting for long: shorter answers, a smaller model, more slots (LLAMACPP_PARALLEL), or a second "
                "VM.",
            ),
            graph(
                "Tokens in a step",
                "How large are the batches: how much does one pass of the model do?",
                "means. vLLM's steps hold prompts too, up to max_num_batched_tokens; llama.cpp's passes that only read "
                "a prompt pull its line down.",
                "tokens",
                12,
                (
                    Query(vllm.histogram_mean(interval, "iteration_tokens_total"), "vLLM"),
                    Query(llamacpp.tokens_per_step(interval), "llama.cpp"),
                ),
                colours=palette.ENGINES,
                smooth=True,
                drilldown=links.GPU,
            ),
        )

    def work(self) -> tuple[Panel, ...]:
        """What does it work on, and how fast?"""
        interval = self.variables.per_interval
        return (
            graph(
                "Tokens by source",
                "What are the tokens: prompts computed, prompts found in a cache, or text written?",
                "vLLM counts with each step, a cancelled request's work too; llama.cpp a prompt when it was read, and "
                "an answer when it ends.",
                "tokens/s",
                10,
                (
                    Query(vllm.counter_rate(interval, "prompt_tokens_by_source_total", "source"), "vLLM {{source}}"),
                    Query(vllm.generated(interval), "vLLM output"),
                    Query(llamacpp.prompt_tokens(interval), "llama.cpp computed"),
                    Query(llamacpp.cached_prompt_tokens(interval), "llama.cpp cached"),
                    Query(llamacpp.generated(interval), "llama.cpp output"),
                ),
                no_value=_NONE,
                colours=palette.SOURCES,
                stacked=True,
            ),
            graph(
                "Prompt cache hits",
                "How much of the prompts need not be computed, since they began like an earlier one?",
                "of the prompt tokens that were looked up; low is no fault where prompts have nothing in common.",
                "percentunit",
                7,
                (
                    Query(vllm.prefix_cache_hit_ratio(interval), "vLLM"),
                    Query(llamacpp.prefix_cache_hit_ratio(interval), "llama.cpp"),
                ),
                colours=palette.ENGINES,
                maximum=1,
                smooth=True,
            ),
            graph(
                "Speed of one answer",
                "How many tokens per second does a single reader get?",
                "vLLM: of finished requests with two tokens or more. llama.cpp: tokens by the time spent on writing "
                "them, the mean of all.",
                "tokens/s",
                7,
                (
                    Query(vllm.tokens_per_second_per_request(interval, 0.5), "vLLM, median"),
                    Query(vllm.tokens_per_second_per_request(interval, 0.05), "vLLM, slowest 5 %"),
                    Query(llamacpp.generation_speed(interval), "llama.cpp, mean"),
                ),
                colours=(("vLLM, median", "blue"), ("vLLM, slowest 5 %", "orange"), ("llama.cpp, mean", GREEN)),
                smooth=True,
            ),
        )

    def llamacpp(self) -> tuple[Panel, ...]:
        """What llama.cpp alone tells."""
        interval = self.variables.per_interval
        return (
            graph(
                "llama.cpp speed of reading prompts",
                "How fast is a prompt read, which a first token has to wait for?",
                "tokens by the seconds spent on them: idle time does not count, unlike in its own averages, which are "
                "of its whole life.",
                "tokens/s",
                12,
                (Query(llamacpp.prompt_speed(interval), "reading"),),
                no_value="No llama.cpp, or no traffic",
                smooth=True,
            ),
            graph(
                "llama.cpp longest sequence",
                "How near do requests come to the context that a slot has?",
                "the longest since the server started, prompt and answer together; it never falls. What a slot may "
                "hold is n_ctx of /v1/models.",
                "tokens",
                12,
                (Query(llamacpp.longest_sequence(interval), "{{instance}} {{vm}}"),),
                no_value="No llama.cpp",
            ),
        )

    def _pair(
        self,
        title: str,
        question: str,
        blind_spot: str,
        unit: str,
        of_vllm: str,
        of_llamacpp: str,
        thresholds: Thresholds | None = None,
    ) -> Panel:
        """A number for each engine that there is."""
        return Panel(
            "stat", title, question, blind_spot, unit, STAT_WIDTH,
            (Query(of_vllm, "vLLM"), Query(of_llamacpp, "llama.cpp")),
            no_value=_NONE, thresholds=thresholds or Thresholds(), decimals=0,
        )  # fmt: skip
