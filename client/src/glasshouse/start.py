"""`make up`: applies changes to the stack that runs, or chooses a shape and starts it."""

from contextlib import ExitStack

from glasshouse.console import table
from glasshouse.doctor import command
from glasshouse.errors import ImagesMissing, StackError
from glasshouse.files import locked
from glasshouse.settings import Kind, Settings
from glasshouse.signals import interrupting
from glasshouse.stack import detect, shape
from glasshouse.stack.base import STARTING_ELSEWHERE
from glasshouse.stack.machine import Machine
from glasshouse.stack.shape import Shape


def up(settings: Settings, *, attach: bool) -> None:
    """Starts the stack and returns when it answers; with `attach`, when it has ended.

    Raises:
        GlasshouseError: It could not start; everything that had been started is ended again.
        KeyboardInterrupt: Ctrl-C (or SIGTERM, SIGHUP) came meanwhile; likewise.
    """
    with interrupting(), ExitStack() as held:
        settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            held.enter_context(locked(settings.run_dir / "up.lock", wait=False))
            is_locked = False
        except BlockingIOError:
            is_locked = True
        stack = detect.supervised(settings)
        if stack is not None:
            if is_locked:
                stack.require_started()
            _refuse_other_shape(settings, stack.kind)
            stack.reapply(attach=attach)
        elif is_locked:
            raise StackError(STARTING_ELSEWHERE)
        else:
            _start(settings, attach=attach)


def _start(settings: Settings, *, attach: bool) -> None:
    found = detect.inspect(settings)
    chosen = shape.choose(settings, found)
    stack = detect.of_kind(settings, chosen.kind)
    # Whoever asked for this shape, has a GPU, or has run it before, with its data there, gets no other without a word.
    is_requested = settings.shape != "auto" or "COMPOSE_FILE" in settings.environment
    may_fall_back = chosen.kind == "cpu" and not is_requested and not stack.exists
    _announce(settings, found, chosen)
    try:
        stack.start(chosen, attach=attach)
    except ImagesMissing as error:
        if not may_fall_back:
            raise ImagesMissing(f"{error} Without Docker, on the CPU: make up SHAPE=native") from error
        # The same engine and model run without Docker.
        print(f"\n{error} So it is started without Docker (to insist on it: make up SHAPE=cpu).\n")
        fallback = shape.native(settings, "Docker has no images for it")
        _announce(settings, found, fallback)
        detect.of_kind(settings, fallback.kind).start(fallback, attach=attach)


def _announce(settings: Settings, found: Machine, chosen: Shape) -> None:
    """Prints what is started and why, and what it should be warned of."""
    rows = [(choice.aspect, f"{choice.chosen} ({choice.reason})") for choice in chosen.choices]
    print("Glasshouse starts:\n" + table(rows), flush=True)
    command.before_start(settings, found, chosen)


def _refuse_other_shape(settings: Settings, running: Kind) -> None:
    if settings.shape not in ("auto", running):
        raise StackError(
            f"Glasshouse is running already, and not as SHAPE={settings.shape} but as {running}. First: make down"
        )
