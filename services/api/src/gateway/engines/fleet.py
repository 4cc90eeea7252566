"""All engines together: which one takes a request, and what to say when none can."""

import itertools
import re
import time
from collections.abc import Callable, Collection, Sequence

from gateway.engines.engine import Engine
from gateway.errors import ModelNotFound, NoEngineReady
from gateway.retry_budget import RetryBudget

# Seconds after which a client may try again, by what keeps an engine from being ready.
_RETRY_AFTER = {"starting": 10, "draining": 10, "ejected": 15, "down": 5, "failed": 60}


# What a launcher is about, such as "loading_weights": words, and so neither a model nor an address.
_PHASE = re.compile(r"[a-z][a-z _]{0,39}")


class Fleet:
    """The engines of this gateway.

    Args:
        engines: All of them.
        max_success_age: Seconds for which one generated token counts as proof that an engine works.
    """

    def __init__(self, engines: Sequence[Engine], *, max_success_age: float) -> None:
        self.engines = tuple(engines)
        self.budget = RetryBudget()
        self._max_success_age = max_success_age
        self._choices = itertools.count(1)

    def models(self) -> dict[str, str]:
        """Every model that an engine which takes requests serves, and the kind of that engine."""
        able = (engine for engine in self.engines if engine.ready or engine.is_last_resort)
        return {model: engine.kind for engine in able for model in engine.models}

    def is_healthy(self) -> bool:
        """Whether an engine takes requests and has just shown that it generates; what /readyz says."""
        now = time.monotonic()
        return any(
            (engine.ready or engine.is_last_resort) and now - engine.last_success_at < self._max_success_age
            for engine in self.engines
        )

    def choose(
        self,
        model: str,
        *,
        exclude: Collection[Engine] = (),
        visible: Callable[[str], bool] = lambda _: True,
        detailed: bool = False,
    ) -> Engine:
        """The least busy ready engine that serves `model`; of equals, the one that was chosen longest ago.

        An engine whose ejection is over gets one request, which can still move on before its first byte. Where no
        engine is ready, one that was ejected for its failures is used all the same.

        Args:
            model: What is asked for.
            exclude: Engines that have been asked.
            visible: Which models an error may name.
            detailed: Whether an error may tell why an engine is not ready.

        Raises:
            ModelNotFound: Nobody serves it.
            NoEngineReady: Somebody does, or may come to, but not now.
        """
        serving = [engine for engine in self.engines if model in engine.models and engine not in exclude]
        ready = [engine for engine in serving if engine.ready]
        trial = [engine for engine in serving if engine.wants_trial] if not exclude else []
        able = trial or [engine for engine in ready if not engine.is_hesitant] or ready
        if able := able or [engine for engine in serving if engine.is_last_resort]:
            chosen = min(able, key=lambda engine: (engine.outstanding, engine.last_chosen))
            chosen.last_chosen = next(self._choices)
            return chosen
        # An engine that is still starting has not said yet what it will serve.
        pending = serving or [engine for engine in self.engines if not engine.models and engine.state == "starting"]
        if pending or not any(engine.models for engine in self.engines):
            raise self.unavailable_error(pending or self.engines, detailed=detailed)
        known = ", ".join(filter(visible, self._known())) or "none"
        raise ModelNotFound(f"This model is not served here. There is: {known}.", param="model")

    def unavailable_error(self, engines: Sequence[Engine] = (), *, detailed: bool = False) -> NoEngineReady:
        """Why nobody can take a request now, as the error that says so.

        Args:
            engines: Which are waited for; all of them when left out.
            detailed: Whether to quote reasons, which may name models and addresses; otherwise anybody may read it.
        """
        waited_for = engines or self.engines
        why = "; ".join(_in_detail(engine) if detailed else _in_short(engine) for engine in waited_for)
        loading = any(engine.state == "starting" for engine in waited_for)
        return NoEngineReady(
            f"No engine is ready: {why}.",
            code="model_loading" if loading else None,
            retry_after=min(_RETRY_AFTER.get(engine.state, 1) for engine in waited_for),
        )

    def label(self, model: str) -> str:
        """The model's label in metrics: its name if an engine serves it, else "other": a client's text is no label."""
        return model if any(model in engine.models for engine in self.engines) else "other"

    def has_alternative(self, model: str, *engines: Engine) -> bool:
        """Whether a ready engine that is none of these serves `model`."""
        return any(other.ready and model in other.models for other in self.engines if other not in engines)

    def others_ready(self, engine: Engine) -> bool:
        """Whether every model of `engine` has another ready engine."""
        return all(self.has_alternative(model, engine) for model in engine.models)

    def _known(self) -> list[str]:
        return sorted({model for engine in self.engines for model in engine.models})


def _in_detail(engine: Engine) -> str:
    return f"{engine.name} is {engine.state}" + (f" ({engine.reason})" if engine.reason else "")


def _in_short(engine: Engine) -> str:
    phase = f" ({engine.reason})" if engine.state == "starting" and _PHASE.fullmatch(engine.reason) else ""
    return f"{engine.name} is {engine.state}{phase}"
