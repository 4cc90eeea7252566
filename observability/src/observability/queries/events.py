"""Events: alerts that fire, and when parts of the stack were started."""

from observability.promql import Scope
from observability.queries.gateway import JOB

# Parts that export their start time, one of each per machine; they start with the stack.
_STARTED_WITH_STACK = "prometheus|node-exporter|nginx"
# Recorded (`recording.events`).
GATEWAY_STARTED = "vm:gateway_event_loop_lag_seconds_count:resets2m"
ENGINE_READY = "job:launcher_up_since_timestamp_seconds:recent5m"
DEPLOYED = "job:process_start_time_seconds:recent5m"
_RECENT_SECONDS = 300
# Written by Prometheus for each alert of its rule files. Some alerts have no label `vm`.
_FIRING = 'ALERTS{alertstate="firing"}'
_BUILDS = (
    ("gateway_build_info", JOB), ("prometheus_build_info", "prometheus"), ("grafana_build_info", "grafana"),
    ("node_exporter_build_info", "node-exporter"), ("nginx_exporter_build_info", "nginx"),
    ("launcher_engine_info", ".+-launcher"),
)  # fmt: skip
# What an alert is about, in the order in which it is read.
SUBJECT = "subject"
# A copy of the alert's name, which a table shows as what the alert means.
EXPLANATION = "explanation"
_SUBJECT_LABELS = ("model", "model_name", "engine", "job", "gpu", "key", "mountpoint", "instance", "vm")


def firing_since() -> str:
    """When the condition of each firing alert came true, in milliseconds, with the labels SUBJECT and EXPLANATION."""
    since = f"(ALERTS_FOR_STATE{{}} * 1000) and ignoring (alertstate) {_FIRING}"
    labels = ", ".join(f'"{label}"' for label in _SUBJECT_LABELS)
    joined = f'label_join({since}, "{SUBJECT}", " ", {labels})'
    named = f'label_replace({joined}, "{EXPLANATION}", "$1", "alertname", "(.+)")'
    return f"max by (alertname, severity, {SUBJECT}, {EXPLANATION}) ({named})"


def pages() -> str:
    """1 while an alert that pages fires."""
    return 'max by (alertname) (ALERTS{alertstate="firing", severity="page"})'


def gateway_started(scope: Scope) -> str:
    """Positive for two minutes after a gateway was started."""
    return scope.recorded(GATEWAY_STARTED, vm="vm")


def engine_ready(scope: Scope) -> str:
    """When each engine became ready, in milliseconds; for five minutes."""
    return f"{scope.recorded(ENGINE_READY, vm='vm')} * 1000"


def deployed(scope: Scope) -> str:
    """When the stack's other parts were started, in milliseconds; for five minutes."""
    return f"{scope.recorded(DEPLOYED, vm='vm')} * 1000"


def gateway_resets(scope: Scope) -> str:
    """How often a gateway's counters were reset in the window, which only a new start does; empty for never."""
    count = scope.series("gateway_event_loop_lag_seconds_count", JOB, vm="vm")
    return f"max by (vm) (resets({scope.over(count)})) > 0"


def engines_ready_since(scope: Scope) -> str:
    """When engines became ready that did so recently, in seconds."""
    return _recent(scope.series("launcher_up_since_timestamp_seconds", ".+-launcher", vm="vm"))


def parts_started(scope: Scope) -> str:
    """When other parts of the stack were started that were so recently, in seconds."""
    return _recent(scope.series("process_start_time_seconds", _STARTED_WITH_STACK, vm="vm"))


def versions(scope: Scope) -> str:
    """1 for each part and the version that runs."""
    builds = " or ".join(scope.series(name, job, vm="vm") for name, job in _BUILDS)
    return f"max by (job, version, vm) ({builds})"


def _recent(times: str) -> str:
    return f"max by (job, vm) ({times} > time() - {_RECENT_SECONDS})"
