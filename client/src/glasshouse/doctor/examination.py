"""All checks, for the form of the stack that this machine has or would get."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from glasshouse.doctor import daemon, files, gpu, host, network
from glasshouse.doctor import native as without_docker
from glasshouse.doctor.finding import Check, Finding, Target
from glasshouse.errors import GlasshouseError
from glasshouse.settings import Kind, Settings
from glasshouse.stack import detect, machine, shape
from glasshouse.stack.shape import Shape
from glasshouse.system import System

# What a start looks at by itself, with errors of its own, is not in these.
_ANYWHERE: tuple[Check, ...] = (host.memory, host.open_files, host.clock, host.time_zone)
_IN_DOCKER: tuple[Check, ...] = (daemon.boot, daemon.disk, network.mtu, network.firewall, network.ipv6)
_NATIVE: tuple[Check, ...] = (without_docker.openmp, without_docker.shared_memory, without_docker.disk)
_GPU: tuple[Check, ...] = (gpu.driver,)


@dataclass(frozen=True, slots=True)
class Plan:
    """The form that a start takes or would take, and whether it runs; `shape` is None where it is refused."""

    target: Target
    shape: Shape | None
    is_running: bool


def of_start(settings: Settings, there: machine.Machine, chosen: Shape) -> tuple[Finding, ...]:
    """What a start should know beforehand, beside what it refuses by itself."""
    target = Target(settings, System(settings.given), there, chosen.kind)
    checks = _ANYWHERE + (_NATIVE if chosen.kind == "native" else _IN_DOCKER)
    return tuple(_run(target, checks + (_GPU if chosen.kind == "gpu" else ())))


def of_machine(settings: Settings) -> tuple[Finding, ...]:
    """Everything that matters to the form of the stack that runs here, or would be started."""
    system = System(settings.given)
    there = detect.inspect(settings)
    stack = detect.supervised(settings)
    running = stack.kind if stack is not None else None
    try:
        chosen = shape.choose(settings, there)
    except GlasshouseError as error:
        kind: Kind = settings.shape if settings.shape != "auto" else "gpu" if there.has_gpu else "cpu"
        target, chosen_shape = Target(settings, system, there, running or kind), None
        first = Finding("failure", "shape", str(error))
    else:
        target, chosen_shape = Target(settings, system, there, running or chosen.kind), chosen
        first = Finding("ok", "shape", f"{shape.NAMES[chosen.kind]} ({chosen.reason})")
    if running is not None:
        first = Finding("ok", "shape", f"{shape.NAMES[running]}, which runs")
    return (first, *_run(target, _checks(Plan(target, chosen_shape, running is not None))))


def _checks(plan: Plan) -> tuple[Check, ...]:
    kind = plan.target.kind
    checks = [*_ANYWHERE, host.python, files.secrets]
    if kind == "native":
        if plan.shape is not None and plan.shape.kind == "native":
            found = plan.shape
            checks.append(lambda _: without_docker.programs(found))
        checks.extend(_NATIVE)
    else:
        checks.extend((daemon.versions, *_IN_DOCKER, files.mounted))
    if kind == "gpu":
        checks.extend((gpu.gpu, *_GPU))
    if plan.is_running:
        checks.append(lambda _: iter((Finding("ok", "ports", "the running stack has them"),)))
    else:
        settings = plan.target.settings
        wanted = detect.of_kind(settings, kind).ports(plan.shape)
        checks.append(partial(network.free_ports, wanted=wanted))
    return tuple(checks)


def _run(target: Target, checks: tuple[Check, ...]) -> Iterator[Finding]:
    for check in checks:
        yield from check(target)
