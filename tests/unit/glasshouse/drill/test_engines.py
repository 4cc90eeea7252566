from typing import Any

import pytest

from glasshouse.drill.engines import spare
from glasshouse.errors import DrillError

OWN = ("vllm", "llamacpp")


def engine(*models: str, state: str = "ready", running: int = 0, waiting: int = 0) -> dict[str, Any]:
    return {"state": state, "models": list(models), "load": {"running": running, "waiting": waiting}}


def test_an_idle_engine_whose_models_another_one_serves_may_be_stopped() -> None:
    assert spare({"vllm": engine("a", "b"), "llamacpp": engine("a")}, OWN) == "llamacpp"
    assert spare({"vllm": engine("a", running=1), "llamacpp": engine("a")}, OWN) == "llamacpp"


@pytest.mark.parametrize(
    ("engines", "reason"),
    [
        ({}, "the last one is never stopped"),
        ({"vllm": engine("a")}, "the last one is never stopped"),
        ({"vllm": engine("a"), "llamacpp": engine("a", state="starting")}, "the last one is never stopped"),
        ({"vllm": engine("a"), "llamacpp": engine("b")}, "serves a model that no other"),
        ({"elsewhere": engine("a"), "vllm": engine("a", "b")}, "serves a model that no other"),  # it is not ours
        ({"vllm": engine("a"), "llamacpp": engine()}, "serves a model that no other"),
        ({"vllm": engine("a", running=1), "llamacpp": engine("a", waiting=2)}, "only an idle engine"),
    ],
)
def test_no_other_may(engines: dict[str, Any], reason: str) -> None:
    with pytest.raises(DrillError, match=reason):
        spare(engines, OWN)
