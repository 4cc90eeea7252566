"""Rows of the Engine dashboard that ask vLLM and llama.cpp the same; a stack with only one of them fills them too."""

from observability import links
from observability.dashboards import palette
from observability.panel import GREEN, STAT_WIDTH, Panel, Query, Thresholds, graph, stat
from observability.queries import launchers, llamacpp, vllm
from observability.queries.gateway import requests
from observability.variables import Variables

_NO_ENGINE = "No engine scraped"


class CommonRows:
    """Each method is a row.

    Args:
        variables: those of the dashboard.
    """

    def __init__(self, variables: Variables) -> None:
        self.variables = variables

    def tiles(self) -> tuple[Panel, ...]:
        """The most important numbers."""
        now, full_range = self.variables.now, self.variables.full_range
        return (
            stat(
                "Ready for", "For how long has the engine that started last been ready?",
                "as reported by its launcher; every start resets it.", "s", f"min({launchers.ready_seconds(now)})",
                no_value="No engine ready", decimals=0,
            ),
            stat(
                "Starts", "How often were engines started in the selected time range?",
                "starts after a deployment and after a crash count alike.", "short",
                f"sum({launchers.starts(full_range)})", Thresholds.warn(2), no_value="No launcher scraped", decimals=0,
                action="the launcher's log says why the previous engine exited.",
            ),
            self._pair(
                "Running", "How many requests are running?", "the value at the latest scrape.", "short",
                vllm.running(now), llamacpp.running(now),
            ),
            self._pair(
                "Waiting", "How many requests are queued in the engines?", "the value at the latest scrape.",
                "short", vllm.waiting(now), llamacpp.waiting(now), Thresholds.warn(1),
            ),
            self._pair(
                "Output, tokens a second", "How many tokens do the engines generate?",
                "includes output that nobody reads to the end; llama.cpp counts an answer when it ends.",
                "short", vllm.generated(now), llamacpp.generated(now),
            ),
            stat(
                "Between tokens, p95", "Is the text fast enough for a reader, in the selected time range?",
                "measured by the gateway as the mean of each request; streams only.", "s",
                requests.time_per_output_token(full_range, 0.95), palette.TPOT, drilldown=links.GATEWAY,
            ),
        )  # fmt: skip

    def load(self) -> tuple[Panel, ...]:
        """Is it full?"""
        interval = self.variables.per_interval
        return (
            graph(
                "Requests running and waiting",
                "Are requests waiting, and for what?",
                "the value at each scrape. In vLLM, waiting is for the batch or the KV cache, deferred for a LoRA "
                "budget or a transfer. While all slots of llama.cpp are busy, the waiting one can be the scrape "
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
                no_value=_NO_ENGINE,
                colours=palette.LOAD,
                action="if they wait for long: shorter answers, a smaller model, more slots (LLAMACPP_PARALLEL), or a "
                "second VM.",
            ),
            graph(
                "Tokens in a step",
                "How large are the batches?",
                "means. vLLM's steps include prompt tokens, up to max_num_batched_tokens; llama.cpp's steps that only "
                "process a prompt lower its mean.",
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
                "Are the tokens computed prompts, cached prompts, or output?",
                "vLLM counts every step, cancelled requests included; llama.cpp counts a prompt when it is processed "
                "and an answer when it ends.",
                "tokens/s",
                10,
                (
                    Query(vllm.counter_rate(interval, "prompt_tokens_by_source_total", "source"), "vLLM {{source}}"),
                    Query(vllm.generated(interval), "vLLM output"),
                    Query(llamacpp.prompt_tokens(interval), "llama.cpp computed"),
                    Query(llamacpp.cached_prompt_tokens(interval), "llama.cpp cached"),
                    Query(llamacpp.generated(interval), "llama.cpp output"),
                ),
                no_value=_NO_ENGINE,
                colours=palette.SOURCES,
                stacked=True,
            ),
            graph(
                "Prompt cache hits",
                "What share of prompt tokens is reused from earlier requests with the same prefix?",
                "of the looked-up prompt tokens; low is normal where prompts have no common prefix.",
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
                "How many tokens per second does a single request get?",
                "vLLM: finished requests with at least two tokens. llama.cpp: the mean of all requests, tokens by "
                "generation time.",
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
        """What only llama.cpp reports."""
        interval = self.variables.per_interval
        return (
            graph(
                "llama.cpp speed of reading prompts",
                "How fast are prompts processed before the first token?",
                "tokens by processing time, without idle time; unlike its own averages, which cover its whole uptime.",
                "tokens/s",
                12,
                (Query(llamacpp.prompt_speed(interval), "reading"),),
                no_value="No llama.cpp, or no traffic",
                smooth=True,
            ),
            graph(
                "llama.cpp longest sequence",
                "How close do requests come to the context size of a slot?",
                "the longest since the server started, prompt and answer together; it never decreases. The limit is "
                "n_ctx in /v1/models.",
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
        """One number for each engine."""
        return Panel(
            "stat", title, question, blind_spot, unit, STAT_WIDTH,
            (Query(of_vllm, "vLLM"), Query(of_llamacpp, "llama.cpp")),
            no_value=_NO_ENGINE, thresholds=thresholds or Thresholds(), decimals=0,
        )  # fmt: skip
