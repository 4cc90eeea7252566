"""`glasshouse drill`: asks, puts the faults in, reports, and undoes everything whatever happens."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from glasshouse.console import Progress, print_error, print_json, table
from glasshouse.drill import engines, outcome
from glasshouse.drill.catalogue import FAULTS, NOT_DRILLED
from glasshouse.drill.fault import Fault
from glasshouse.drill.grafana import Grafana
from glasshouse.drill.guard import guard
from glasshouse.drill.injection import Injection, clear, undo_all
from glasshouse.drill.journal import Journal
from glasshouse.drill.session import Session
from glasshouse.errors import DrillError, ExitCode, SettingsError
from glasshouse.files import locked, write_atomically
from glasshouse.settings import Settings
from glasshouse.signals import interrupting, uninterrupted
from glasshouse.stack import detect
from glasshouse.stack.base import Stack
from glasshouse.stack.rig import DIRECTORY, GrafanaAccess

_JOURNAL, _LOCK = "drill.json", "drill.lock"
_WHAT = """\
Faults are put into the stack that is running here, one after the other, and each is undone: no request of a user fails.
node-exporter is stopped for some minutes, and an idle engine if another one serves all of its models. Everything else
happens to parts of the drill's own. Notifications begin with [DRILL] and go to: {receiver}."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line was asked for.

    Attributes:
        only: names of faults; all if empty.
        assume_yes: whether the question is not asked.
        as_json: whether the result is printed as JSON.
        report: where the result is written as Markdown.
        password_file: holds Grafana's password for admin; None for the one that `init` made.
    """

    only: Sequence[str] = ()
    assume_yes: bool = False
    as_json: bool = False
    report: Path | None = None
    password_file: Path | None = None


def print_list() -> None:
    """Prints the faults and their alerts, and the alerts that are not drilled."""
    rows = [(fault.name, f"{fault.title} ({outcome.KINDS[fault.kind]})", ", ".join(fault.alerts)) for fault in FAULTS]
    print(table([("FAULT", "WHAT IS DONE", "ALERTS"), *rows], indent="", header=True))
    print(f"\nNot drilled:\n{table(list(NOT_DRILLED.items()))}")


def run(settings: Settings, options: Options) -> ExitCode:
    """Runs a drill and prints its result; returns how the command ends.

    Raises:
        GlasshouseError: It cannot begin, or the stack no longer answers; all faults have been undone.
        KeyboardInterrupt: Ctrl-C came meanwhile; likewise.
    """
    faults = _chosen(options.only)
    stack = _running(settings)
    rig = stack.rig()
    grafana = Grafana(_access(rig.grafana, options))
    journal = Journal(settings.run_dir / _JOURNAL)
    with ExitStack() as held:
        _lock(settings, held)
        if journal.is_open:
            undo_all(rig, journal, grafana)
        grafana.rules()  # what is wrong with its address or password is said before the question
        if not options.assume_yes:
            _confirm(settings, faults)
        injection = Injection(
            rig, grafana, journal, lambda: engines.spare(engines.status(settings, stack.endpoint), rig.parts)
        )
        with interrupting(), guard(settings):
            journal.begin()
            try:
                with Progress(to_stderr=options.as_json) as progress:
                    result = Session(grafana, injection, progress.show).run(faults)
            finally:
                with uninterrupted():
                    print("Undoing the drill …", file=sys.stderr, flush=True)
                    undo_all(rig, journal, grafana)
    if options.report is not None:
        write_atomically(options.report, result.markdown(), 0o644)
    if options.as_json:
        print_json(result.json())
    else:
        print(result.text())
    return ExitCode.SUCCESS if result.is_complete else ExitCode.FAILURE


def undo(settings: Settings) -> None:
    """Undoes what a drill that was killed has left.

    Raises:
        GlasshouseError: A drill runs, or something cannot be undone.
    """
    journal = Journal(settings.run_dir / _JOURNAL)
    if not journal.is_open:
        print("No drill has left anything; nothing to undo.")
        return
    stack = detect.running(settings)
    with ExitStack() as held:
        _lock(settings, held)
        if stack is None:
            clear(settings.root / DIRECTORY)
            journal.end()
            print("Glasshouse is not running; what the drill had stopped starts with it.")
            return
        rig = stack.rig()
        try:
            grafana = Grafana(rig.grafana)
        except DrillError as error:
            print_error(str(error))
            grafana = None
        undo_all(rig, journal, grafana)
    print("The drill has been undone.")


def _chosen(only: Sequence[str]) -> Sequence[Fault]:
    known = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in only if name not in known]:
        raise SettingsError(f"There is no fault {unknown[0]!r}: use {', '.join(known)}.")
    return [known[name] for name in only] or FAULTS


def _running(settings: Settings) -> Stack:
    stack = detect.running(settings)
    if stack is None:
        raise DrillError("Glasshouse is not running here, so there is nothing to drill. Start it: make up")
    return stack


def _access(access: GrafanaAccess, options: Options) -> GrafanaAccess:
    return replace(access, password_file=options.password_file) if options.password_file else access


def _lock(settings: Settings, held: ExitStack) -> None:
    try:
        held.enter_context(locked(settings.run_dir / _LOCK, wait=False))
    except BlockingIOError:
        raise DrillError("Another drill is running. To end it: Ctrl-C where it was started.") from None


def _confirm(settings: Settings, faults: Sequence[Fault]) -> None:
    receiver = settings.environment.get("ALERTS_TO", "nobody")
    shown = f"{receiver} (ALERTS_TO), where they are discarded" if receiver == "nobody" else receiver
    print(_WHAT.format(receiver=shown), file=sys.stderr)
    print(f"Faults: {', '.join(fault.name for fault in faults)}.", file=sys.stderr)
    if not os.isatty(0):
        raise SettingsError("Nobody can be asked here: confirm with --yes (make drill YES=1).")
    typer.confirm("Begin?", abort=True, err=True)
