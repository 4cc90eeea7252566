"""Which checks apply to the shape that runs here, or would be started; and their findings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from glasshouse.doctor import daemon, files, gpu, host, native, network
from glasshouse.doctor.finding import Check, Finding, Target
from glasshouse.errors import GlasshouseError
from glasshouse.settings import Kind, Settings
from glasshouse.stack import detect, machine, shape
from glasshouse.stack.shape import Shape
from glasshouse.system import System

# Without those that a start makes by itself, with errors of its own.
_ANYWHERE: tuple[Check, ...] = (host.memory, host.open_files, host.clock, host.time_zone)
_IN_DOCKER: tuple[Check, ...] = (daemon.boot, daemon.disk, network.mtu, network.firewall, network.ipv6)
_NATIVE: tuple[Check, ...] = (native.openmp, native.shared_memory, native.disk)
_GPU: tuple[Check, ...] = (gpu.driver,)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is checked; `shape` is None where a start is refused."""

    target: Target
    shape: Shape | None
    is_running: bool


def start_findings(settings: Settings, inspected: machine.Machine, chosen: Shape) -> tuple[Finding, ...]:
    """What to know before a start, beside what it refuses by itself."""
    target = Target(settings, System(settings.given), inspected, chosen.kind)
    selected = _ANYWHERE + (_NATIVE if chosen.kind == "native" else _IN_DOCKER)
    return tuple(_run(target, selected + (_GPU if chosen.kind == "gpu" else ())))


def all_findings(settings: Settings) -> tuple[Finding, ...]:
    """The findings of every check that applies to the stack that runs here, or would be started."""
    system = System(settings.given)
    inspected = detect.inspect(settings)
    stack = detect.supervised(settings)
    running = stack.kind if stack is not None else None
    try:
        chosen = shape.choose(settings, inspected)
    except GlasshouseError as error:
        kind: Kind = settings.shape if settings.shape != "auto" else "gpu" if inspected.has_gpu else "cpu"
        target, chosen_shape = Target(settings, system, inspected, running or kind), None
        first = Finding("failure", "shape", str(error))
    else:
        target, chosen_shape = Target(settings, system, inspected, running or chosen.kind), chosen
        first = Finding("ok", "shape", f"{shape.NAMES[chosen.kind]} ({chosen.reason})")
    if running is not None:
        first = Finding("ok", "shape", f"{shape.NAMES[running]}, which runs")
    return (first, *_run(target, _checks(Plan(target, chosen_shape, running is not None))))


def _checks(plan: Plan) -> tuple[Check, ...]:
    kind = plan.target.kind
    selected = [*_ANYWHERE, host.python, files.secrets]
    if kind == "native":
        if plan.shape is not None and plan.shape.kind == "native":
            found = plan.shape
            selected.append(lambda _: native.programs(found))
        selected.extend(_NATIVE)
    else:
        selected.extend((daemon.versions, *_IN_DOCKER, files.mounted))
    if kind == "gpu":
        selected.extend((gpu.gpu, *_GPU))
    if plan.is_running:
        selected.append(lambda _: iter((Finding("ok", "ports", "the running stack has them"),)))
    else:
        settings = plan.target.settings
        wanted = detect.of_kind(settings, kind).ports(plan.shape)
        selected.append(partial(network.free_ports, wanted=wanted))
    return tuple(selected)


def _run(target: Target, selected: tuple[Check, ...]) -> Iterator[Finding]:
    for check in selected:
        yield from check(target)
