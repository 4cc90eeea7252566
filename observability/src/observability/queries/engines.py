"""What engines have in common: their launchers, and how their own latency compares with ours."""

from observability.promql import Scope, total
from observability.queries import gateway, vllm

STATES = ("ready", "starting", "draining", "failed")
_LAUNCHER = ".+-launcher"
_NO_VLLM = 'kind!="vllm"'


def added_latency(scope: Scope) -> str:
    """Median time to first token at the gateway, less vLLM's own for the same model.

    Absent for a model that an engine of another kind serves too: the gateway's numbers by model hold both.
    """
    engine = vllm.quantile_of(scope, "time_to_first_token_seconds", 0.5, "model_name")
    renamed = f'label_replace({engine}, "model", "$1", "model_name", "(.+)")'
    ours = gateway.time_to_first_token(scope, 0.5, "model")
    others = f"max by (model) ({gateway.models_of_engines(scope, _NO_VLLM)} == 1)"
    return f"sum by (model) ({ours}) - sum by (model) ({renamed}) unless on (model) ({others})"


def state_code(scope: Scope) -> str:
    """For each launcher the place of its engine's state in STATES, from 1."""
    selectors = [_launcher(scope, "launcher_state", f'state="{state}"') for state in STATES]
    codes = (f"({selector} == 1) * {code}" for code, selector in enumerate(selectors, start=1))
    return f"max by (job, vm) ({' or '.join(codes)})"


def phase_seconds(scope: Scope) -> str:
    """How long each phase of the latest start took."""
    return f"max by (job, vm, phase) ({_launcher(scope, 'launcher_phase_seconds')})"


def starts(scope: Scope) -> str:
    """How often each engine was started in the window."""
    return total(f"increase({_launcher(scope, 'launcher_start_attempts_total')}[{scope.window}])", "job")


def ready_for(scope: Scope) -> str:
    """Seconds since each engine became ready."""
    return f"time() - min by (job) ({_launcher(scope, 'launcher_up_since_timestamp_seconds')})"


def _launcher(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(name, _LAUNCHER, *matchers, vm="vm")
