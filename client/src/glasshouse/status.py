"""What runs here, as values: the data of `ps --json`."""

from typing import Any

from glasshouse import composed, native, supervisor
from glasshouse.composed_watch import age, row
from glasshouse.settings import Settings


def collect(settings: Settings) -> dict[str, Any]:
    """The running stack and its programs or containers.

    Returns:
        `running`, `shape`, `url` (of the API, with /v1) and `services`, each with `name`, `state`, `pid` (without
        Docker) and `uptime_seconds`; what is not known is None.
    """
    if (current := native.started(settings)) is not None:
        programs = (supervisor.programs(settings.socket) if current.is_running() else None) or ()
        services = [
            _service(program.name, native.state_of(program), program.pid or None, program.uptime_s)
            for program in programs
        ]
        return {"running": True, "shape": "native", "url": f"{current.url}/v1", "services": services}
    if (stack := composed.find(settings)) is not None and stack.is_running:
        services = [
            _service(container.service, row(container)[1], None, age(container.started))
            for container in stack.containers
        ]
        return {"running": True, "shape": stack.kind, "url": f"{stack.front.public_url}/v1", "services": services}
    return {"running": False, "shape": None, "url": None, "services": []}


def _service(name: str, state: str, pid: int | None, uptime_s: float) -> dict[str, Any]:
    is_up = state in {"running", "starting"} or pid is not None
    return {"name": name, "state": state, "pid": pid, "uptime_seconds": round(uptime_s, 1) if is_up else None}
