"""What the mock engine does unless a request says otherwise; tests change it with `POST /mock`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mock_engine.fault import Fault, parse_fault

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_TOKENS = 16
ENDPOINT_FAULTS = frozenset({"status", "html", "garbage", "reset", "hang"})
CHAT, TEXT, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
GENERATING = frozenset({CHAT, TEXT, EMBEDDINGS})  # these fail by `fault`


@dataclass(slots=True)
class Behaviour:
    """The engine-wide behaviour; the fields are named as in the JSON of `POST /mock`.

    Args:
        models: what `/v1/models` lists: a name, or a whole model card (an adapter has `id` and `parent`).
        owned_by: as in the model cards: `vllm` or `llamacpp`; it also selects the names of the metrics.
        health: status of `GET /health`; vLLM answers 503 only when its engine is dead.
        fault: how generation requests for more than one token fail; a request's own fault takes precedence.
        probe_fault: how requests for one token fail, so that probes and real work can fail independently.
        path_faults: how other endpoints fail: `{"/health": "hang", "/metrics": "status:500"}`; also `html`, `garbage`
            and `reset`.
        ttft_s: seconds before the first token.
        interval_s: seconds between tokens.
        tokens: tokens in a response, up to `max_tokens`.
        max_model_len: tokens, as shown in `/v1/models` and in the context length error.
        running: shown in the metrics instead of the real number, for tests of routing by load.
        waiting: requests shown as queued; the mock itself never queues.
        kv_cache_usage: from 0 to 1.
        preemptions: shown as vLLM's counter of them; the mock itself never preempts.
    """

    models: list[str | dict[str, Any]]
    owned_by: str = "vllm"
    health: int = 200
    fault: Fault | None = None
    probe_fault: Fault | None = None
    path_faults: dict[str, Fault] = field(default_factory=dict)
    ttft_s: float = 0.0
    interval_s: float = 0.0
    tokens: int = DEFAULT_TOKENS
    max_model_len: int = 8192
    running: int | None = None
    waiting: int = 0
    kv_cache_usage: float = 0.0
    preemptions: int = 0

    def change(self, patch: dict[str, Any]) -> None:
        """Apply the JSON of `POST /mock`: all of it or, when a part is invalid, nothing.

        Raises:
            ValueError: an unknown field or a value of the wrong type.
        """
        checked = {name: _read(name, value) for name, value in patch.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def names(self) -> list[str]:
        """Return the names of the models that the engine serves, adapters included."""
        return [model if isinstance(model, str) else str(model["id"]) for model in self.models]


def defaults() -> dict[str, Any]:
    """Return the JSON of a `POST /mock` that restores the default of every field but `owned_by`."""
    fields = asdict(Behaviour(models=["mock"]))
    del fields["owned_by"]
    return fields


def seconds(name: str, value: object) -> float:
    """Read a duration, or another number that is not negative.

    Raises:
        ValueError: not a number, or negative.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise ValueError(f"{name} must be a number >= 0, not {value!r}")


def count(name: str, value: object) -> int:
    """Read a count.

    Raises:
        ValueError: not an integer, or negative.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{name} must be an integer >= 0, not {value!r}")


def text(name: str, value: object) -> str:
    """Read a string.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, str):
        return value
    raise ValueError(f"{name} must be a string, not {value!r}")


def _read(name: str, value: object) -> object:
    """Check one entry of a patch and bring it into the form that `Behaviour` keeps."""
    read = READERS.get(name)
    if read is None:
        raise ValueError(f"the mock engine has no field {name!r}: {', '.join(READERS)}")
    return read(name, value)


def _fault(_name: str, value: object) -> Fault | None:
    return parse_fault(value)


def _running(name: str, value: object) -> int | None:
    return None if value is None else count(name, value)


def _models(name: str, value: object) -> list[object]:
    if isinstance(value, list) and value and all(_is_model(model) for model in value):
        return value
    raise ValueError(f"{name} must be a list of names or of cards with an id, not {value!r}")


def _is_model(model: object) -> bool:
    return isinstance(model, str) or (isinstance(model, dict) and isinstance(model.get("id"), str))


def _path_faults(name: str, value: object) -> dict[str, Fault]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must map paths to faults, not {value!r}")  # noqa: TRY004 - input, not program
    faults = {str(path): parse_fault(written) for path, written in value.items()}
    kept = {path: fault for path, fault in faults.items() if fault is not None}
    for path, fault in kept.items():
        if fault.kind not in ENDPOINT_FAULTS or path in GENERATING:
            raise ValueError(
                f"{name}: {path} cannot fail by {fault.kind!r}, only other endpoints by {sorted(ENDPOINT_FAULTS)}"
            )
    return kept


READERS: dict[str, Callable[[str, object], object]] = {
    "models": _models,
    "owned_by": text,
    "health": count,
    "fault": _fault,
    "probe_fault": _fault,
    "path_faults": _path_faults,
    "ttft_s": seconds,
    "interval_s": seconds,
    "tokens": count,
    "max_model_len": count,
    "running": _running,
    "waiting": count,
    "kv_cache_usage": seconds,
    "preemptions": count,
}
