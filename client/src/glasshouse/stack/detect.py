"""Which stack a checkout has, or would get: the one place that asks "native or Docker?"."""

from glasshouse.settings import Kind, Settings
from glasshouse.stack import machine, shape
from glasshouse.stack.base import Stack
from glasshouse.stack.compose.stack import ComposeStack
from glasshouse.stack.machine import Machine
from glasshouse.stack.native.stack import NativeStack
from glasshouse.system import System


def of_kind(settings: Settings, kind: Kind) -> Stack:
    """The stack of one shape, running or not."""
    return NativeStack(settings) if kind == "native" else ComposeStack(settings, kind)


def stacks(settings: Settings) -> tuple[Stack, ...]:
    """Both stacks that a checkout may have, the native one first: to look for that costs nothing."""
    return NativeStack(settings), ComposeStack(settings)


def running(settings: Settings) -> Stack | None:
    """The stack of which a process runs."""
    return next((stack for stack in stacks(settings) if stack.is_running), None)


def supervised(settings: Settings) -> Stack | None:
    """The stack that runs and whose programs are restarted when they end."""
    return next((stack for stack in stacks(settings) if stack.is_supervised), None)


def existing(settings: Settings) -> Stack | None:
    """The stack that runs, or has ended and left its containers."""
    return next((stack for stack in stacks(settings) if stack.exists), None)


def with_data(settings: Settings) -> Stack:
    """The stack whose data a backup saves: the one that exists, else that has left data, else that would be started.

    Raises:
        GlasshouseError: Docker cannot read the stack's files, or the machine does not have what SHAPE asks for.
    """
    if (found := existing(settings)) is not None:
        return found
    if settings.shape != "auto":
        return of_kind(settings, settings.shape)
    chosen = of_kind(settings, shape.choose(settings, inspect(settings)).kind)
    if chosen.kind != "native":
        native = of_kind(settings, "native")
        if native.data.has_data and not chosen.data.has_data:
            return native
    return chosen


def inspect(settings: Settings) -> Machine:
    """What this machine has for a stack in Docker; nothing is asked of it where that is not wanted."""
    return Machine("", "") if settings.shape == "native" else machine.inspect(System(settings.given))
