"""All engines together: the choice of one for a request, and the error when there is none."""

import itertools
import re
import time
from collections.abc import Callable, Collection, Sequence

from gateway.engines.engine import Engine, Preference
from gateway.errors import ModelNotFound, NoEngineReady
from gateway.retry_budget import RetryBudget

# Seconds after which a client may retry, by the state that keeps an engine from being ready.
_RETRY_AFTER = {"starting": 10, "draining": 10, "ejected": 15, "down": 5, "failed": 60}

# A launcher's phase, such as "loading_weights": plain words, which can be neither a model nor an address.
_PHASE = re.compile(r"[a-z][a-z _]{0,39}")


class Fleet:
    """The engines of this gateway.

    Args:
        engines: All of them.
        max_success_age: Seconds for which a generated token counts as proof that an engine works.
    """

    def __init__(self, engines: Sequence[Engine], *, max_success_age: float) -> None:
        self.engines = tuple(engines)
        self.budget = RetryBudget()
        self._max_success_age = max_success_age
        self._choices = itertools.count(1)

    def models(self) -> dict[str, str]:
        """Every model that can be requested now, and the kind of the engine that serves it."""
        available = (engine for engine in self.engines if engine.ready or engine.is_last_resort)
        return {model: engine.kind for engine in available for model in engine.models}

    def is_healthy(self) -> bool:
        """Whether some engine takes requests and has recently generated a token; what /readyz reports."""
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
        """The least busy ready engine that serves `model`; of equals, the one chosen longest ago.

        An engine whose ejection is over gets one trial request, which can still be retried elsewhere before its first
        byte. When no engine is ready, one that was ejected for its failures is used all the same.

        Args:
            model: The requested model.
            exclude: Engines that have been tried.
            visible: Which models an error may name.
            detailed: Whether an error may say why an engine is not ready.

        Raises:
            ModelNotFound: No engine serves it.
            NoEngineReady: An engine serves it, or may come to serve it, but not now.
        """
        chosen, lowest = None, (Preference.UNUSABLE, 0, 0)
        for engine in self.engines:
            if model in engine.models and engine not in exclude:
                rank = (engine.preference(may_try=not exclude), engine.outstanding, engine.last_chosen)
                if rank < lowest:
                    chosen, lowest = engine, rank
        if chosen is not None:
            chosen.last_chosen = next(self._choices)
            return chosen
        serving = [engine for engine in self.engines if model in engine.models and engine not in exclude]
        # An engine that is still starting has not listed its models yet.
        pending = serving or [engine for engine in self.engines if not engine.models and engine.state == "starting"]
        if pending or not any(engine.models for engine in self.engines):
            raise self.unavailable_error(pending or self.engines, detailed=detailed)
        known = ", ".join(filter(visible, self._known_models())) or "none"
        raise ModelNotFound(f"This model is not served here. There is: {known}.", param="model")

    def unavailable_error(self, engines: Sequence[Engine] = (), *, detailed: bool = False) -> NoEngineReady:
        """The error that says why no engine can take a request now.

        Args:
            engines: The engines in question; all of them when left out.
            detailed: Whether to quote reasons, which may name models and addresses. Without them anyone may read it.
        """
        engines = engines or self.engines
        states = "; ".join(_describe(engine) if detailed else _summarize(engine) for engine in engines)
        loading = any(engine.state == "starting" for engine in engines)
        return NoEngineReady(
            f"No engine is ready: {states}.",
            code="model_loading" if loading else None,
            retry_after=min(_RETRY_AFTER.get(engine.state, 1) for engine in engines),
        )

    def label(self, model: str) -> str:
        """The model's label in metrics: its name if an engine serves it, else "other". A client's text is no label."""
        for engine in self.engines:
            if model in engine.models:
                return model
        return "other"

    def has_alternative(self, model: str, *engines: Engine) -> bool:
        """Whether another ready engine than these serves `model`."""
        return any(other.ready and model in other.models for other in self.engines if other not in engines)

    def others_ready(self, engine: Engine) -> bool:
        """Whether each model of `engine` has another ready engine."""
        return all(self.has_alternative(model, engine) for model in engine.models)

    def _known_models(self) -> list[str]:
        return sorted({model for engine in self.engines for model in engine.models})


def _describe(engine: Engine) -> str:
    return f"{engine.name} is {engine.state}" + (f" ({engine.reason})" if engine.reason else "")


def _summarize(engine: Engine) -> str:
    phase = f" ({engine.reason})" if engine.state == "starting" and _PHASE.fullmatch(engine.reason) else ""
    return f"{engine.name} is {engine.state}{phase}"
