"""The mock engine's other endpoints: health, models, metrics, and `/mock`, which controls it."""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from mock_engine import responses

if TYPE_CHECKING:
    from mock_engine.behaviour import Behaviour
    from mock_engine.stats import Stats

CREATED = 1_700_000_000  # of a model card; the mock's models have no age
METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def get(path: str, behaviour: Behaviour, stats: Stats) -> bytes | None:
    """Respond to a GET; None when the engine has no such endpoint."""
    if path == "/health":  # an empty body, as vLLM's
        return responses.plain(behaviour.health, b"")
    if path == "/v1/models":
        return responses.plain(200, orjson.dumps({"object": "list", "data": _cards(behaviour)}))
    if path == "/metrics":
        return responses.plain(200, _metrics(behaviour, stats), METRICS_TYPE)
    return None


def control(method: str, body: bytes, peer: str, behaviour: Behaviour, stats: Stats) -> bytes:
    """Respond to `/mock`: GET returns the stats, POST changes the behaviour; from this machine only.

    The JSON of a POST holds fields of `Behaviour`, `reset: true` to restart the counters, and `release: [names]` of
    barriers.
    """
    if not ipaddress.ip_address(peer).is_loopback:
        return not_found()
    if method == "GET":
        return responses.plain(200, orjson.dumps(stats.as_json()))
    try:
        patch: Any = orjson.loads(body)
        reset, barriers = patch.pop("reset", False), names("release", patch.pop("release", []))
        behaviour.change(patch)
    except (ValueError, AttributeError, TypeError) as error:  # not JSON, not an object, an invalid field
        return responses.plain(
            HTTPStatus.BAD_REQUEST, responses.error_body(400, f"mock engine: {error}", "BadRequestError")
        )
    if reset:
        stats.reset()
    stats.barriers.release(barriers)
    return responses.plain(200, orjson.dumps(stats.as_json()))


def names(name: str, value: object) -> list[str]:
    """Read a list of names.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ValueError(f"{name} must be a list of names, not {value!r}")


def not_found() -> bytes:
    """Return vLLM's response to an unknown path."""
    return responses.plain(HTTPStatus.NOT_FOUND, b'{"detail":"Not Found"}')


def unauthorized() -> bytes:
    """Return vLLM's response to a wrong key."""
    return responses.plain(HTTPStatus.UNAUTHORIZED, b'{"error":"Unauthorized"}')


def _cards(behaviour: Behaviour) -> list[dict[str, Any]]:
    """Return the model cards with vLLM's fields."""
    cards = []
    for model in behaviour.models:
        given: dict[str, Any] = {"id": model} if isinstance(model, str) else model
        cards.append(
            {
                "id": given["id"],
                "object": "model",
                "created": CREATED,
                "owned_by": behaviour.owned_by,
                "root": given["id"],
                "parent": None,
                "max_model_len": behaviour.max_model_len,
                "permission": [],
                **given,
            }
        )
    return cards


def _metrics(behaviour: Behaviour, stats: Stats) -> bytes:
    """Return the load, with the metric names and labels of the engine that is mocked."""
    running = stats.work.running + stats.probes.running if behaviour.running is None else behaviour.running
    if behaviour.owned_by == "llamacpp":  # llama.cpp's server has no model label and no metric for its cache
        labels = ""
        gauges: list[tuple[str, str, str, float]] = [
            ("llamacpp:requests_processing", "", "Number of requests processing.", running),
            ("llamacpp:requests_deferred", "", "Number of requests deferred.", behaviour.waiting),
        ]
    else:
        labels = f'{{engine="0",model_name={orjson.dumps(behaviour.names()[0]).decode()}}}'
        gauges = [
            ("vllm:num_requests_running", labels, "Number of requests in model execution batches.", float(running)),
            ("vllm:num_requests_waiting", labels, "Number of requests waiting to be processed.", behaviour.waiting),
            (
                "vllm:kv_cache_usage_perc",
                labels,
                "KV-cache usage. 1 means 100 percent usage.",
                behaviour.kv_cache_usage,
            ),
        ]
    exposition = "".join(
        f"# HELP {name} {help_text}\n# TYPE {name} gauge\n{name}{labels} {value}\n"
        for name, labels, help_text, value in gauges
    )
    return (exposition + (_progress(labels, behaviour, stats) if behaviour.owned_by == "vllm" else "")).encode()


def _progress(labels: str, behaviour: Behaviour, stats: Stats) -> str:
    """Return vLLM's counters of its progress; each token of the mock is one step."""
    tokens = stats.work.tokens_sent + stats.probes.tokens_sent
    last = labels.replace("{", '{le="+Inf",')
    return (
        f"# TYPE vllm:iteration_tokens_total histogram\nvllm:iteration_tokens_total_bucket{last} {tokens}\n"
        f"vllm:iteration_tokens_total_count{labels} {tokens}\nvllm:iteration_tokens_total_sum{labels} {tokens}\n"
        f"# TYPE vllm:generation_tokens_total counter\nvllm:generation_tokens_total{labels} {tokens}\n"
        f"# TYPE vllm:num_preemptions_total counter\nvllm:num_preemptions_total{labels} {behaviour.preemptions}\n"
    )
