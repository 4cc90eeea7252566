"""Rows of the Engine dashboard that ask vLLM and llama.cpp the same; a stack with only one of them fills them too."""

from observability import links
from observability.dashboards import palette
from observability.panel import COUNT, GREEN, RED, STAT_WIDTH, Panel, Query, Thresholds, graph, stat
from observability.promql import NOT_SCRAPED, or_down, or_zero_while_up
from observability.queries import extremes, launchers, llamacpp, vllm
from observability.queries.gateway import JOB as GATEWAY_JOB
from observability.queries.gateway import history
from observability.variables import Variables

_NO_ENGINE = "No engine scraped"
_IDLE = "No traffic, or not scraped"
_PER_MODEL = ("model_name", *vllm.SERVER)


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
                "Uptime", "For how long has the engine that started last been ready?",
                "as reported by its launcher; every start resets it.", "s", f"min({launchers.ready_seconds(now)})",
                no_value="No engine ready", decimals=0,
            ),
            stat(
                "Restarts", "How often were engines started again in the selected time range?",
                "attempts that failed count too; of a launcher that was itself started anew only what came after.",
                COUNT, f"sum({launchers.starts(full_range)})", Thresholds.warn(2),
                no_value="No launcher scraped", decimals=0,
                action="the launcher's log says why the previous engine exited.",
            ),
            self._pair(
                "Running", "How many requests are running?", "the value at the latest scrape.",
                or_down(vllm.running(now), vllm.JOB, now), or_down(llamacpp.running(now), llamacpp.JOB, now),
            ),
            self._pair(
                "Waiting", "How many requests are queued in the engines?", "the value at the latest scrape.",
                or_down(vllm.waiting(now), vllm.JOB, now), or_down(llamacpp.waiting(now), llamacpp.JOB, now),
                Thresholds.warn(1),
            ),
            self._pair(
                "Output throughput (tok/s)", "How many tokens per second do the engines generate?",
                "without the gateway's probes of an idle engine, which are no traffic. Includes output that nobody "
                "reads to the end; llama.cpp counts an answer when it ends.",
                self._throughput_now(vllm.of_users(now, vllm.generated(now)), vllm.JOB),
                self._throughput_now(llamacpp.of_users(now, llamacpp.generated(now)), llamacpp.JOB),
            ),
            stat(
                "TPOT p95", "Is the text fast enough for a reader, in the selected time range?",
                "measured by the gateway as the mean of each request; streams only. Interpolated between buckets.",
                "s", history.latency(full_range, history.TPOT, 0.95), palette.TPOT, drilldown=links.GATEWAY,
                job=GATEWAY_JOB,
            ),
        )  # fmt: skip

    def load(self) -> tuple[Panel, ...]:
        """Is it full?"""
        cell = self.variables.per_cell
        return (
            graph(
                "Requests running and waiting",
                "Are requests waiting, and for what? How many can run at once?",
                "the highest value in each interval. In vLLM, waiting is for the batch or the KV cache, deferred for a "
                "LoRA budget or a transfer. While all slots of llama.cpp are busy, the waiting one can be the scrape "
                "itself. Dashed: the limits that the launchers set; vLLM chooses max_num_seqs itself where it is not.",
                "short",
                12,
                (
                    Query(extremes.vllm(cell, extremes.VLLM_RUNNING), "vLLM running"),
                    Query(extremes.vllm(cell, extremes.VLLM_WAITING_BY_REASON, 'reason="capacity"'), "vLLM waiting"),
                    Query(extremes.vllm(cell, extremes.VLLM_WAITING_BY_REASON, 'reason="deferred"'), "vLLM deferred"),
                    Query(extremes.llamacpp(cell, extremes.LLAMACPP_RUNNING), "llama.cpp running"),
                    Query(extremes.llamacpp(cell, extremes.LLAMACPP_WAITING), "llama.cpp waiting"),
                    Query(launchers.capacity(cell, vllm.JOB, "max_num_seqs"), "max_num_seqs", dashed=True, colour=RED),
                    Query(launchers.capacity(cell, llamacpp.JOB, "slots"), "slots", dashed=True, colour=palette.PINK),
                ),
                no_value=_NO_ENGINE,
                colours=palette.LOAD,
                step_seconds=extremes.STEP_SECONDS,
                action="if they wait for long: shorter answers, a smaller model, more slots (LLAMACPP_PARALLEL), or a "
                "second VM.",
            ),
            graph(
                "Tokens per engine step (batch size)",
                "How large are the batches?",
                "means. vLLM's steps include prompt tokens, up to max_num_batched_tokens; llama.cpp's steps that only "
                "process a prompt lower its mean.",
                "tokens",
                12,
                (
                    Query(vllm.of_users(cell, vllm.histogram_mean(cell, "iteration_tokens_total")), "vLLM"),
                    Query(llamacpp.tokens_per_step(cell), "llama.cpp"),
                ),
                no_value=_IDLE,
                colours=palette.ENGINES,
                step_seconds=vllm.STEP_SECONDS,
            ),
        )

    def work(self) -> tuple[Panel, ...]:
        """What does it work on?"""
        cell = self.variables.per_cell
        by_source = vllm.counter_rate(cell, "prompt_tokens_by_source_total", "source")
        return (
            graph(
                "Prompt and generated tokens by source",
                "How many tokens a second go in and out: prompts computed, prompts from the cache, and output?",
                "vLLM counts every step, cancelled requests included; llama.cpp counts a prompt when it is processed "
                "and an answer when it ends. The gateway's probes of an idle engine are not shown.",
                "tokens/s",
                12,
                (
                    Query(vllm.of_users(cell, by_source), "vLLM {{source}}"),
                    Query(vllm.of_users(cell, vllm.generated(cell)), "vLLM output"),
                    Query(llamacpp.of_users(cell, llamacpp.prompt_tokens(cell)), "llama.cpp computed"),
                    Query(llamacpp.of_users(cell, llamacpp.cached_prompt_tokens(cell)), "llama.cpp cached"),
                    Query(llamacpp.of_users(cell, llamacpp.generated(cell)), "llama.cpp output"),
                ),
                no_value=_IDLE,
                colours=palette.SOURCES,
                stacked=True,
                step_seconds=vllm.STEP_SECONDS,
            ),
            graph(
                "Output throughput by model and server",
                "Which model, on which server, generates how many tokens a second?",
                "adapters count under their base model. The gateway's probes of an idle engine are not shown.",
                "tokens/s",
                12,
                (
                    Query(
                        vllm.of_users(cell, vllm.generated(cell, *_PER_MODEL), *_PER_MODEL),
                        "{{model_name}} {{instance}} {{vm}}",
                    ),
                    Query(
                        llamacpp.of_users(cell, llamacpp.generated(cell, *vllm.SERVER), *vllm.SERVER),
                        "llama.cpp {{instance}} {{vm}}",
                    ),
                ),
                no_value=_IDLE,
                stacked=True,
                step_seconds=vllm.STEP_SECONDS,
            ),
        )

    def speed(self) -> tuple[Panel, ...]:
        """How fast is a single request served?"""
        cell = self.variables.per_cell
        return (
            graph(
                "Per-request decode speed",
                "How many tokens per second does a single request get?",
                "after the first token. vLLM: finished requests; its slowest 5 % are interpolated between buckets, and "
                "include requests of a single token as fast ones. llama.cpp: the mean of all requests.",
                "tokens/s",
                8,
                (
                    Query(vllm.decode_speed(cell), "vLLM mean"),
                    Query(vllm.slowest_decode_speed(cell), "vLLM slowest 5 %"),
                    Query(llamacpp.generation_speed(cell), "llama.cpp mean"),
                ),
                no_value=_IDLE,
                colours=(("vLLM mean", "blue"), ("vLLM slowest 5 %", "orange"), ("llama.cpp mean", GREEN)),
                step_seconds=vllm.STEP_SECONDS,
            ),
            graph(
                "Decode speed by model and server",
                "Which model, on which server, is slow?",
                "means of finished requests, after the first token.",
                "tokens/s",
                8,
                (Query(vllm.decode_speed(cell, *_PER_MODEL), "{{model_name}} {{instance}} {{vm}}"),),
                no_value=_IDLE,
                step_seconds=vllm.STEP_SECONDS,
                part="vllm",
            ),
            graph(
                "Prefix cache hit rate",
                "What share of prompt tokens is reused from earlier requests with the same prefix?",
                "of the looked-up prompt tokens; low is normal where prompts have no common prefix. Without the "
                "gateway's probes, which never hit.",
                "percentunit",
                8,
                (
                    Query(vllm.of_users(cell, vllm.prefix_cache_hit_ratio(cell)), "vLLM"),
                    Query(llamacpp.prefix_cache_hit_ratio(cell), "llama.cpp"),
                ),
                no_value=_IDLE,
                colours=palette.ENGINES,
                maximum=1,
                step_seconds=vllm.STEP_SECONDS,
            ),
        )

    def _throughput_now(self, tokens: str, job: str) -> str:
        now = self.variables.now
        return or_down(or_zero_while_up(tokens, job, now), job, now)

    def _pair(
        self,
        title: str,
        question: str,
        blind_spot: str,
        of_vllm: str,
        of_llamacpp: str,
        thresholds: Thresholds | None = None,
    ) -> Panel:
        """One number for each engine."""
        return Panel(
            "stat", title, question, blind_spot, COUNT, STAT_WIDTH,
            (Query(of_vllm, "vLLM"), Query(of_llamacpp, "llama.cpp")),
            no_value=_NO_ENGINE, thresholds=thresholds or Thresholds(), decimals=0,
            value_mappings=((NOT_SCRAPED, "not scraped", RED),),
        )  # fmt: skip
