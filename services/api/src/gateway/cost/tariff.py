"""What a second of an engine costs in one worker, and how much tokens weigh when several requests share it."""

from typing import NamedTuple

_SECONDS = 3600.0


class Weights(NamedTuple):
    """How many output tokens an input token counts as: a policy, not a measurement. Both are 0 or more."""

    input: float
    cached_input: float


class Tariff(NamedTuple):
    """The price of one engine.

    Attributes:
        usd_per_hour: For the whole engine, all workers together.
        workers: How many share it evenly.
        weights: How tokens share it.
    """

    usd_per_hour: float
    workers: int
    weights: Weights

    @property
    def usd_per_second(self) -> float:
        """What one second of this worker's part costs."""
        return self.usd_per_hour / _SECONDS / self.workers
