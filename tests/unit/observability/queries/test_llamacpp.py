"""An idle llama.cpp gets a one-token probe now and then, which it counts like any request."""

import shutil
from pathlib import Path

import pytest
from tests.support.promtool import Values, counter, evaluate, every

from observability.promql import Scope
from observability.queries import llamacpp

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)

_SECONDS = 3600
_WINDOWS = ("20s", "35s", "1m", "20m", "1h")
_PROBE_INTERVAL = 20
_LABELS = 'job="llamacpp", instance="llamacpp:8002", vm="local"'


def _stack(requests: tuple[int, ...] = (), *, skew: int = 0) -> dict[str, Values]:
    """The series of a stack whose llama.cpp answers requests at these seconds, beside the probes and after 100 others.

    A request has 13 prompt tokens, 12 of them cached, and 28 of output in 0.27 s. The gateway's scrape sees a probe
    `skew` seconds later than the engine's.
    """
    probes = every(_PROBE_INTERVAL, _SECONDS, 1)

    def of_engine(per_probe: float, per_request: float) -> list[float]:
        events = [(at, per_probe) for at, _ in probes]
        return counter(_SECONDS, (0, 100 * per_request), *events, *((at, per_request) for at in requests))

    series: dict[str, Values] = {
        "llamacpp:prompt_tokens_total": of_engine(1, 1),
        "llamacpp:prompt_tokens_cached_total": of_engine(0, 12),
        "llamacpp:prompt_seconds_total": of_engine(0.0006, 0.01),
        "llamacpp:tokens_predicted_total": of_engine(1, 28),
        "llamacpp:tokens_predicted_seconds_total": of_engine(0.000001, 0.27),
        "llamacpp:n_decode_total": of_engine(1, 28),
    }
    counted = counter(_SECONDS, *every(_PROBE_INTERVAL, _SECONDS, 1, late=skew))
    gateway = 'job="gateway", instance="api:9091", vm="local", engine="llamacpp"'
    return {f"{name}{{{_LABELS}}}": values for name, values in series.items()} | {
        f'gateway_engine_probe_tokens_total{{{gateway}, type="output"}}': counted,
        f'gateway_engine_probe_tokens_total{{{gateway}, type="input"}}': counted,
        f'gateway_engine_model{{{gateway}, kind="llama_cpp", model="demo"}}': [1.0] * len(counted),
    }


def _shown(scope: Scope) -> tuple[str, ...]:
    return (
        llamacpp.generation_speed(scope),
        llamacpp.prefix_cache_hit_ratio(scope),
        llamacpp.prompt_speed(scope),
        llamacpp.tokens_per_step(scope),
        llamacpp.of_users(scope, llamacpp.generated(scope)),
        llamacpp.of_users(scope, llamacpp.generated(scope, "instance", "vm"), "instance", "vm"),
    )


@pytest.mark.parametrize("skew", [0, 5])
def test_probes_alone_are_no_traffic(skew: int, tmp_path: Path) -> None:
    nothing: dict[str, dict[str, float]] = {
        expression: {} for window in _WINDOWS for expression in _shown(Scope(window))
    }
    for at in (_SECONDS - 15, _SECONDS - 10, _SECONDS - 5, _SECONDS):
        evaluate(tmp_path, _stack(skew=skew), nothing, at=at)


@pytest.mark.parametrize("window", ["35s", "1m", "20m"])
def test_a_single_request_among_probes_has_its_own_numbers(window: str, tmp_path: Path) -> None:
    scope = Scope(window)
    probes = {"35s": 1, "1m": 3, "20m": 60}[window]
    expected = {
        llamacpp.generation_speed(scope): {"{}": 28 / (0.27 + probes * 0.000001)},
        llamacpp.prefix_cache_hit_ratio(scope): {"{}": 12 / 13},
    }
    evaluate(tmp_path, _stack((_SECONDS - 10,)), expected, at=_SECONDS - 1)


def test_an_engine_that_no_gateway_probes_is_shown_as_it_is(tmp_path: Path) -> None:
    series = {name: values for name, values in _stack((1800,)).items() if name.startswith("llamacpp:")}
    evaluate(tmp_path, series, {llamacpp.prefix_cache_hit_ratio(Scope("1m")): {"{}": 12 / 16}}, at=1825)


def test_probes_of_another_kind_of_engine_are_not_subtracted(tmp_path: Path) -> None:
    series = {name.replace("llama_cpp", "vllm"): values for name, values in _stack((1800,)).items()}
    evaluate(tmp_path, series, {llamacpp.prefix_cache_hit_ratio(Scope("1m")): {"{}": 12 / 16}}, at=1825)
