"""The mock engine's other pages: health, models, metrics, and the one that steers it."""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from mock_engine import wire

if TYPE_CHECKING:
    from mock_engine.behaviour import Behaviour
    from mock_engine.truth import Truth

CREATED = 1_700_000_000  # of a model card; the mock's models have no age
METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def get(path: str, behaviour: Behaviour, truth: Truth) -> bytes | None:
    """Answer a GET; nothing when the engine has no such page."""
    if path == "/health":  # an empty body, as vLLM's
        return wire.answer(behaviour.health, b"")
    if path == "/v1/models":
        return wire.answer(200, orjson.dumps({"object": "list", "data": _cards(behaviour)}))
    if path == "/metrics":
        return wire.answer(200, _metrics(behaviour, truth), METRICS_TYPE)
    return None


def steer(method: str, body: bytes, peer: str, behaviour: Behaviour, truth: Truth) -> bytes:
    """Answer `/mock`: GET tells the truth, POST changes the behaviour; from this machine only.

    The JSON of a POST holds switches of `Behaviour`, `reset: true` to start counting again, and `open: [names]` of
    gates.
    """
    if not ipaddress.ip_address(peer).is_loopback:
        return not_found()
    if method == "GET":
        return wire.answer(200, orjson.dumps(truth.show()))
    try:
        patch: Any = orjson.loads(body)
        forget, gates = patch.pop("reset", False), names("open", patch.pop("open", []))
        behaviour.change(patch)
    except (ValueError, AttributeError, TypeError) as error:  # not JSON, JSON but no object, a switch set wrongly
        return wire.answer(HTTPStatus.BAD_REQUEST, wire.error_body(400, f"mock engine: {error}", "BadRequestError"))
    if forget:
        truth.forget()
    truth.gates.open(gates)
    return wire.answer(200, orjson.dumps(truth.show()))


def names(what: str, value: object) -> list[str]:
    """Read a list of names.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    raise ValueError(f"{what} must be a list of names, not {value!r}")


def not_found() -> bytes:
    """Return what vLLM says of a path that it does not have."""
    return wire.answer(HTTPStatus.NOT_FOUND, b'{"detail":"Not Found"}')


def unauthorized() -> bytes:
    """Return what vLLM says to a wrong key."""
    return wire.answer(HTTPStatus.UNAUTHORIZED, b'{"error":"Unauthorized"}')


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


def _metrics(behaviour: Behaviour, truth: Truth) -> bytes:
    """Return the load, with the names and labels of the engine that the mock stands for."""
    running = truth.work.running + truth.probes.running if behaviour.running is None else behaviour.running
    if behaviour.owned_by == "llamacpp":  # llama.cpp's server names no model and has no figure for its cache
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
    page = "".join(
        f"# HELP {name} {told}\n# TYPE {name} gauge\n{name}{labels} {value}\n" for name, labels, told, value in gauges
    )
    return (page + (_progress(labels, behaviour, truth) if behaviour.owned_by == "vllm" else "")).encode()


def _progress(labels: str, behaviour: Behaviour, truth: Truth) -> str:
    """Return what vLLM counts as it goes; each token of the mock is one step."""
    tokens = truth.work.tokens_sent + truth.probes.tokens_sent
    last = labels.replace("{", '{le="+Inf",')
    return (
        f"# TYPE vllm:iteration_tokens_total histogram\nvllm:iteration_tokens_total_bucket{last} {tokens}\n"
        f"vllm:iteration_tokens_total_count{labels} {tokens}\nvllm:iteration_tokens_total_sum{labels} {tokens}\n"
        f"# TYPE vllm:generation_tokens_total counter\nvllm:generation_tokens_total{labels} {tokens}\n"
        f"# TYPE vllm:num_preemptions_total counter\nvllm:num_preemptions_total{labels} {behaviour.preemptions}\n"
    )
