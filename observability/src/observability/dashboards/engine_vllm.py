"""vLLM's rows of the Engine dashboard: its load, its time, its work."""

from observability import settings
from observability.dashboards import palette
from observability.dashboards.engine_vllm_detail import NO_VLLM, Details
from observability.dashboards.tiles import tile
from observability.panel import BLUE, GREEN, ORANGE, Panel, Query, Thresholds, graph
from observability.queries import engines, vllm


class Rows(Details):
    """Each method is a row; `Details` has those that are asked more rarely."""

    def tiles(self) -> tuple[Panel, ...]:
        """Of both engines what must not be missed."""
        now, page = self.choices.now, self.choices.over_the_page
        first_token = vllm.quantile_of(page, "time_to_first_token_seconds", 0.95)
        return (
            tile(
                "Ready for", "Since when can the engine that became ready last answer?",
                "its launcher's word; a start resets it.", "s", f"min({engines.ready_for(now)})",
                nothing="No engine is ready", decimals=0,
            ),
            tile(
                "Starts", "How often were engines started in the time shown?",
                "a start that a deploy asked for counts like one after a crash.", "short",
                f"sum({engines.starts(page)})", Thresholds.notable(2), nothing="No launcher is scraped", decimals=0,
            ),
            tile(
                "vLLM KV cache", "How full is vLLM's memory for running requests, where it is fullest?",
                "full is no fault while nothing waits: it is what the memory is for.", "percentunit",
                vllm.kv_cache_used(now, "job"), Thresholds.notable(settings.KV_CACHE_NOTABLE),
                nothing=NO_VLLM, maximum=1, decimals=0,
            ),
            tile(
                "vLLM waiting", "How many requests has vLLM not begun?",
                "the value at the latest scrape.", "short", vllm.waiting(now),
                Thresholds.notable(1), nothing=NO_VLLM, decimals=0,
            ),
            tile(
                "vLLM first token, p95", "How long do the slowest 5 % wait at vLLM itself?",
                "streams and plain requests alike; without the gateway's own part.", "s", first_token,
                Thresholds.high_is_bad(settings.TTFT_P95_GOOD_SECONDS, settings.TTFT_P95_LIMIT_SECONDS),
                nothing=NO_VLLM,
            ),
            tile(
                "vLLM output", "How many tokens per second does vLLM produce?",
                "those that nobody reads to the end are among them.", "tokens/s", vllm.generated(now),
                nothing=NO_VLLM, decimals=0,
            ),
        )  # fmt: skip

    def saturation(self) -> tuple[Panel, ...]:
        """Is it full?"""
        at = self.choices.at_each_point
        return (
            graph(
                "vLLM requests running and waiting",
                "Do requests wait, and for what?",
                "the value at each scrape. capacity: the batch or the KV cache is full; deferred: held back by a LoRA "
                "budget or a transfer.",
                "short",
                8,
                (
                    Query(vllm.running(at), "running"),
                    Query(vllm.waiting_for(at, "capacity"), "waiting: capacity"),
                    Query(vllm.waiting_for(at, "deferred"), "waiting: deferred"),
                ),
                nothing=NO_VLLM,
                colours=(
                    ("running", palette.RUNNING),
                    ("waiting: capacity", palette.WAITING),
                    ("waiting: deferred", palette.HELD_BACK),
                ),
                then="waiting for capacity for long: fewer tokens a request, a smaller model, or a second VM.",
            ),
            graph(
                "vLLM KV cache in use",
                "How much of the memory for running requests is taken?",
                "blocks that hold a prefix for later count as free. Near 100 % is normal under load; waiting and "
                "preemptions beside it are not.",
                "percentunit",
                8,
                (Query(vllm.kv_cache_used(at, *vllm.SERVER), "{{instance}} {{vm}}"),),
                nothing=NO_VLLM,
                thresholds=Thresholds("text", ((settings.KV_CACHE_NOTABLE, ORANGE),)),
                maximum=1,
            ),
            graph(
                "vLLM preemptions",
                "Are running requests thrown out to make room, and begun again?",
                "says how often, not whose; the work done before is done twice.",
                "ops",
                8,
                (Query(vllm.rate_of(at, "num_preemptions_total", *vllm.SERVER), "{{instance}} {{vm}}"),),
                nothing=NO_VLLM,
                then="lower max_num_seqs or max_model_len in the model's file, or raise gpu_memory_utilization.",
            ),
        )

    def latency(self) -> tuple[Panel, ...]:
        """Where does the time go?"""
        at = self.choices.at_each_point
        parts = (("queue", "queue"), ("prefill", "prefill"), ("decode", "decode"))
        return (
            self.quantiles(
                "vLLM time to first token",
                "How long until vLLM has a first token: queue, prefill and one step?",
                "plain requests count too; what is lost between here and the client is Latency added by the gateway.",
                "time_to_first_token_seconds",
                settings.TTFT_P95_LIMIT_SECONDS,
            ),
            graph(
                "vLLM mean time by part of a request",
                "Which part of a request is slow: waiting, reading the prompt, or writing the answer?",
                "means, so that they add up: a few very slow requests can hide. Requests whose client left are not "
                "counted.",
                "s",
                8,
                tuple(Query(vllm.mean_of(at, f"request_{part}_time_seconds"), name) for part, name in parts),
                nothing=NO_VLLM,
                colours=(("queue", palette.WAITING), ("prefill", "purple"), ("decode", palette.RUNNING)),
                stacked=True,
                smooth=True,
                then="queue: see whether it is full. Prefill: prompts are long, and the prefix cache may not help. "
                "Decode: long answers, or a batch too large for the GPU.",
            ),
            self.quantiles(
                "vLLM time between tokens",
                "Does the text stutter while it is written?",
                "each gap counts, so that one pause within an answer shows, as the gateway's own metric would not "
                "tell.",
                "inter_token_latency_seconds",
                settings.TPOT_P95_LIMIT_SECONDS,
            ),
        )

    def work(self) -> tuple[Panel, ...]:
        """What does it work on?"""
        at = self.choices.at_each_point
        return (
            graph(
                "vLLM tokens by source",
                "What are its tokens: prompts computed, prompts found in the cache, or text written?",
                "prompt tokens count when they are read, output with each step: a cancelled request's work is in it.",
                "tokens/s",
                8,
                (
                    Query(vllm.rate_of(at, "prompt_tokens_by_source_total", "source"), "prompt: {{source}}"),
                    Query(vllm.generated(at), "output"),
                ),
                nothing=NO_VLLM,
                colours=(
                    ("output", GREEN),
                    ("prompt: local_compute", BLUE),
                    ("prompt: local_cache_hit", "light-blue"),
                    ("prompt: external_kv_transfer", "purple"),
                ),
                stacked=True,
            ),
            graph(
                "vLLM prefix cache hits",
                "How much of the prompts need not be computed, since they began like an earlier one?",
                "of the tokens that were looked up; low is no fault where prompts have nothing in common.",
                "percentunit",
                8,
                (Query(vllm.prefix_hits(at), "prefix"),),
                nothing=NO_VLLM,
                colours=(("prefix", GREEN),),
                maximum=1,
                smooth=True,
            ),
            graph(
                "vLLM tokens in a step",
                "How large are the batches?",
                "quantiles are interpolated within powers of two, the mean is exact. The most that a step may hold is "
                "max_num_batched_tokens.",
                "short",
                8,
                (
                    *(
                        Query(vllm.quantile_of(at, "iteration_tokens_total", number), name)
                        for number, name in palette.QUANTILE_NUMBERS[:2]
                    ),
                    Query(vllm.mean_of(at, "iteration_tokens_total"), "mean"),
                ),
                nothing=NO_VLLM,
                colours=palette.QUANTILES_AND_MEAN,
                smooth=True,
            ),
        )
