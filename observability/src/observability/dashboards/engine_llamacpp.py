"""llama.cpp's rows of the Engine dashboard. It has counters and gauges only, and no label for its model."""

from observability.dashboards import palette
from observability.panel import GREEN, Panel, Query, graph
from observability.queries import llamacpp
from observability.variables import Choices

_NONE = "No llama.cpp, or no traffic"


class Rows:
    """Each method is a row.

    Args:
        choices: What the reader has narrowed the dashboard down to.
    """

    def __init__(self, choices: Choices) -> None:
        self.choices = choices

    def load(self) -> tuple[Panel, ...]:
        """Is it full, and how fast?"""
        at = self.choices.at_each_point
        return (
            graph(
                "llama.cpp requests running and waiting",
                "Do requests wait for a slot?",
                "the value at each scrape; a request that waits when all slots are taken may be the scrape itself.",
                "short",
                8,
                (Query(llamacpp.running(at), "running"), Query(llamacpp.waiting(at), "waiting")),
                nothing="No llama.cpp",
                colours=(("running", palette.RUNNING), ("waiting", palette.WAITING)),
                then="waiting for long: more slots (LLAMACPP_PARALLEL) share the same CPU; a GPU or a second VM helps.",
            ),
            graph(
                "llama.cpp speed while it works",
                "How fast does it read and write, while it does?",
                "tokens by the seconds spent on them: idle time does not count, unlike in its own averages, which are "
                "of its whole life.",
                "tokens/s",
                8,
                (
                    Query(llamacpp.prompt_speed(at), "reading prompts"),
                    Query(llamacpp.generation_speed(at), "writing"),
                ),
                nothing=_NONE,
                colours=(("reading prompts", "light-blue"), ("writing", GREEN)),
                smooth=True,
            ),
            graph(
                "llama.cpp tokens in a step",
                "How many requests share one pass of the model?",
                "generated tokens by passes; passes that only read a prompt count too and pull it down.",
                "short",
                8,
                (Query(llamacpp.tokens_per_step(at), "tokens in a step"),),
                nothing=_NONE,
                smooth=True,
            ),
        )

    def work(self) -> tuple[Panel, ...]:
        """What does it work on?"""
        at = self.choices.at_each_point
        return (
            graph(
                "llama.cpp tokens by source",
                "What are its tokens: prompts computed, prompts it had already, or text written?",
                "a prompt counts when it was read, an answer when it ends: one that was cancelled may be missing.",
                "tokens/s",
                8,
                (
                    Query(llamacpp.prompt_tokens(at), "prompt: computed"),
                    Query(llamacpp.cached_prompt_tokens(at), "prompt: cached"),
                    Query(llamacpp.generated(at), "output"),
                ),
                nothing="No llama.cpp",
                colours=(("prompt: computed", "blue"), ("prompt: cached", "light-blue"), ("output", GREEN)),
                stacked=True,
            ),
            graph(
                "llama.cpp prompt cache hits",
                "How much of the prompts was there from an earlier request?",
                "low is no fault where prompts have nothing in common.",
                "percentunit",
                8,
                (Query(llamacpp.prefix_hits(at), "cached"),),
                nothing=_NONE,
                colours=(("cached", GREEN),),
                maximum=1,
                smooth=True,
            ),
            graph(
                "llama.cpp longest sequence",
                "How near do requests come to the context that a slot has?",
                "the longest since the server started, prompt and answer together; it never falls. What a slot may "
                "hold is n_ctx of /v1/models.",
                "short",
                8,
                (Query(llamacpp.longest(at), "{{instance}} {{vm}}"),),
                nothing="No llama.cpp",
            ),
        )
