"""vLLM's own rows of the Engine dashboard: its time and its memory."""

from observability import settings
from observability.dashboards.engine_vllm_detail import NO_VLLM, Details
from observability.panel import BLUE, ORANGE, Panel, Query, Thresholds, graph
from observability.queries import vllm


class Rows(Details):
    """Each method is a row; `Details` has those that are asked more rarely."""

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
                colours=(("queue", ORANGE), ("prefill", "purple"), ("decode", BLUE)),
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

    def memory(self) -> tuple[Panel, ...]:
        """Is there room for the requests?"""
        at = self.choices.at_each_point
        return (
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
            graph(
                "vLLM refusals at admission",
                "Does vLLM itself turn requests away?",
                "only where max_num_queued_reqs or max_num_queued_tokens is set; without them all wait. The metric "
                "does not say which engine of a server.",
                "reqps",
                8,
                (Query(vllm.rate_of(at, "admission_rejections_total", "reason"), "{{reason}}"),),
                nothing=NO_VLLM,
            ),
        )
