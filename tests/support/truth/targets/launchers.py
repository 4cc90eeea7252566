"""What the launchers of the engines expose."""

from collections.abc import Mapping, Sequence

from tests.support.truth import traffic
from tests.support.truth.samples import Changes
from tests.support.truth.targets.counters import Target, restarts
from tests.support.truth.targets.llamacpp import SLOT_TOKENS, SLOTS
from tests.support.truth.traffic import Engine

from observability.queries.launchers import STATES

_JOBS = {"vllm": "vllm-launcher", "llama_cpp": "llamacpp-launcher"}
CAPACITY: dict[str, Mapping[str, int]] = {
    "vllm": {"max_num_seqs": traffic.SLOTS, "max_model_len": 8192},
    "llama_cpp": {"slots": SLOTS, "slot_context_tokens": SLOT_TOKENS},
}
PHASES: dict[str, Mapping[str, float]] = {
    "vllm": {"launching": 0.5, "loading_weights": 21.0, "compiling": 12.5, "warming_up": 4.0},
    "llama_cpp": {"launching": 0.1, "loading_weights": 3.5, "warming_up": 0.4, "probing": 0.2},
}
VERSIONS = {"vllm": "0.32.0", "llama_cpp": "b11549"}
# Since the first scrape, and before.
_STARTED_BEFORE_S = 600
# How long a start takes of the time in which an engine is away.
_STARTING = 0.75


def scrapes(times: Sequence[int]) -> Changes:
    """The samples of their series, only where they change."""
    found: Changes = {}
    for engine in traffic.ENGINES:
        found |= _launcher(engine, times)
    return found


def _launcher(engine: Engine, times: Sequence[int]) -> Changes:
    target = f'job="{_JOBS[engine.kind]}",instance="{engine.kind}:9300",vm="{engine.vm}"'
    launcher = Target(target, times)
    launcher.declare("launcher_start_attempts_total")
    first = times[0]
    launcher.set(first, "launcher_up_since_timestamp_seconds", first - _STARTED_BEFORE_S)
    launcher.set(first, "launcher_engine_info", 1, f'version="{VERSIONS[engine.kind]}"')
    for kind, limit in CAPACITY[engine.kind].items():
        launcher.set(first, "launcher_capacity", limit, f'kind="{kind}"')
    for phase, seconds in PHASES[engine.kind].items():
        launcher.set(first, "launcher_phase_seconds", seconds, f'phase="{phase}"')
    _set_state(launcher, first, "ready")
    for away in restarts(engine.name, engine.vm):
        if away.start > first:
            _set_state(launcher, away.start, "failed")
            began = away.end - _STARTING * (away.end - away.start)
            launcher.add(began, "launcher_start_attempts_total", 1)
            _set_state(launcher, began, "starting")
            launcher.set(away.end, "launcher_up_since_timestamp_seconds", away.end)
            _set_state(launcher, away.end, "ready")
    return launcher.changes(target)


def _set_state(launcher: Target, at: float, state: str) -> None:
    for each in STATES:
        launcher.set(at, "launcher_state", float(each == state), f'state="{each}"')
