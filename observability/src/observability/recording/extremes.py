"""The extremes of gauges that dashboards show over long ranges (`queries.extremes`)."""

from observability.promql import Scope
from observability.queries import extremes, gpu, launchers, llamacpp, node, vllm
from observability.queries.gateway import engines, requests
from observability.recording.group import Group

# Longer than a step: a sample is stored under the time at which its scrape began, and may be missing until it ends.
_SCOPE, _MACHINE_SCOPE = Scope("20s", extremes=True), Scope("70s", extremes=True)
_VLLM = ("vm", "model_name", "instance")
_LLAMACPP = ("vm", "instance")


def group() -> Group:
    """States of engines, and requests in progress and waiting."""
    return Group(
        "glasshouse-extremes",
        extremes.STEP_SECONDS,
        {
            extremes.ENGINE_STATE: engines.state_code(_SCOPE),
            extremes.IN_FLIGHT: requests.in_flight(_SCOPE, "vm", "model"),
            extremes.VLLM_RUNNING: vllm.running(_SCOPE, *_VLLM),
            extremes.VLLM_WAITING: vllm.waiting(_SCOPE, *_VLLM),
            extremes.VLLM_WAITING_BY_REASON: vllm.waiting_by_reason(_SCOPE, *_VLLM),
            extremes.KV_CACHE: vllm.kv_cache_used(_SCOPE, *_VLLM),
            extremes.LAUNCHER_STATE: launchers.state_code(_SCOPE),
            extremes.LLAMACPP_RUNNING: llamacpp.running(_SCOPE, *_LLAMACPP),
            extremes.LLAMACPP_WAITING: llamacpp.waiting(_SCOPE, *_LLAMACPP),
        },
    )


def machines() -> Group:
    """Memory and disks of machines, and memory of GPUs."""
    return Group(
        "glasshouse-machines",
        extremes.MACHINE_STEP_SECONDS,
        {
            extremes.MEMORY_USED: node.memory_used(_MACHINE_SCOPE),
            extremes.DISK_FREE: node.disk_free(_MACHINE_SCOPE),
            **{name: gpu.memory(_MACHINE_SCOPE, kind) for kind, name in extremes.GPU_MEMORY.items()},
        },
    )
