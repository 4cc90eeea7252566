"""The row of the Engine dashboard that only llama.cpp has."""

from observability.panel import RED, Panel, Query, graph
from observability.queries import launchers, llamacpp
from observability.variables import Variables


def row(variables: Variables) -> tuple[Panel, ...]:
    """How fast prompts are processed, and how long requests are."""
    cell = variables.per_cell
    return (
        graph(
            "llama.cpp prefill throughput",
            "How fast are prompts processed before the first token?",
            "tokens by processing time, without idle time; unlike its own averages, which cover its whole uptime.",
            "tokens/s",
            12,
            (Query(llamacpp.prompt_speed(cell), "prefill"),),
            no_value="No traffic, or not scraped",
            step_seconds=llamacpp.STEP_SECONDS,
        ),
        graph(
            "llama.cpp max sequence length",
            "How close do requests come to the context size of a slot?",
            "the longest since the server started, prompt and answer together; it never decreases. Dashed: what a slot "
            "holds (LLAMACPP_CTX).",
            "tokens",
            12,
            (
                Query(llamacpp.longest_sequence(cell), "{{instance}} {{vm}}"),
                Query(
                    launchers.capacity(cell, llamacpp.JOB, "slot_context_tokens", "job", "vm"),
                    "slot {{vm}}",
                    dashed=True,
                    colour=RED,
                ),
            ),
            no_value="No llama.cpp scraped",
            step_seconds=llamacpp.STEP_SECONDS,
        ),
    )  # fmt: skip
