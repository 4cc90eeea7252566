"""`make up`: which stack runs already, and which shape is started where none does."""

from contextlib import ExitStack

from glasshouse.doctor import command
from glasshouse.errors import ImagesMissing, StackError
from glasshouse.files import locked
from glasshouse.screen import table
from glasshouse.settings import Kind, Settings
from glasshouse.signals import interrupting
from glasshouse.stack import machine, shape
from glasshouse.stack.compose import stack as composed
from glasshouse.stack.endpoint import model, print_closing
from glasshouse.stack.native import stack as native
from glasshouse.stack.native.state import State
from glasshouse.stack.shape import Shape
from glasshouse.system import System

_ELSEWHERE = "Another `make up` is starting this stack. To end it: make down"


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
            is_starting = False
        except BlockingIOError:
            is_starting = True
        if (current := native.running(settings)) is not None:
            _refuse_another(settings, "native")
            _native_again(settings, current, attach=attach, is_starting=is_starting)
            return
        if is_starting:
            raise StackError(_ELSEWHERE)
        stack = composed.find(settings)
        if stack is not None and stack.is_running:
            _refuse_another(settings, stack.kind)
            stack.again(attach=attach)
            return
        _start(settings, attach=attach, is_first=stack is None)


def _start(settings: Settings, *, attach: bool, is_first: bool) -> None:
    # Without Docker nothing is asked of it.
    there = machine.Machine("", "") if settings.shape == "native" else machine.look(System(settings.given))
    chosen = shape.choose(settings, there)
    _say(chosen)
    command.before_start(settings, there, chosen)
    if chosen.kind == "native":
        native.start(settings, chosen, attach=attach)
        return
    try:
        composed.start(settings, chosen, attach=attach)
    except ImagesMissing as error:
        # The same engine and model run without Docker. What a person asked for, what has a GPU, and what has run in
        # Docker before, with its data there, is not exchanged for something else behind their back.
        is_asked_for = settings.shape != "auto" or "COMPOSE_FILE" in settings.environment
        if chosen.kind != "cpu" or is_asked_for or not is_first:
            raise ImagesMissing(f"{error} Without Docker, on the CPU: make up SHAPE=native") from error
        print(f"\n{error} So it is started without Docker (to insist on it: make up SHAPE=cpu).\n")
        fallback = shape.native(settings, "Docker has no images for it")
        _say(fallback)
        command.before_start(settings, there, fallback)
        native.start(settings, fallback, attach=attach)


def _say(chosen: Shape) -> None:
    rows = [(one.part, f"{one.chosen} ({one.reason})") for one in chosen.choices]
    print("Glasshouse starts:\n" + table(rows), flush=True)


def _refuse_another(settings: Settings, running: Kind) -> None:
    if settings.shape not in ("auto", running):
        raise StackError(
            f"Glasshouse is running already, and not as SHAPE={settings.shape} but as {running}. First: make down"
        )


def _native_again(settings: Settings, current: State, *, attach: bool, is_starting: bool) -> None:
    front = native.front(current)
    first_model = model(settings, front)
    if is_starting and first_model is None:
        raise StackError(_ELSEWHERE)
    print("Glasshouse is running already. Changed settings count after: make down, make up")
    print_closing(settings, front, first_model)
    shape.print_shape("native", "as it was running already")
    if attach:
        try:
            native.follow(settings, current)
        finally:
            native.stop_aloud(settings)
