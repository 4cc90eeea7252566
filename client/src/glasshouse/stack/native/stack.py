"""The stack without Docker: supervisord runs its programs, and a record of the start finds them again."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from glasshouse import configuration
from glasshouse.console import duration, table
from glasshouse.errors import GlasshouseError, StackError
from glasshouse.secrets import bootstrap
from glasshouse.settings import Kind, Settings
from glasshouse.stack import ports, processes
from glasshouse.stack.base import STARTING_ELSEWHERE, ServiceStatus
from glasshouse.stack.endpoint import Endpoint, first_model, print_endpoint
from glasshouse.stack.native import logs, shutdown, state, supervisor
from glasshouse.stack.native import start as starting
from glasshouse.stack.native.data import NativeData
from glasshouse.stack.native.rollout import NativeRollout
from glasshouse.stack.rig import Rig
from glasshouse.stack.shape import Shape, print_shape

_LOW_DISK_BYTES = 64 * 1024
_STATES = {"RUNNING": "running", "STARTING": "starting", "STOPPED": "off", "BACKOFF": "failing", "EXITED": "failing"}


class NativeStack:
    """See Stack.

    Args:
        settings: of the checkout.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def kind(self) -> Kind:
        """See Stack."""
        return "native"

    @property
    def exists(self) -> bool:
        """See Stack."""
        return self.is_running

    @property
    def is_running(self) -> bool:
        """See Stack: with its supervisor or without."""
        current = state.read(self.settings.run_dir)
        return current is not None and (current.is_running() or bool(current.members(self.settings.root)))

    @property
    def is_supervised(self) -> bool:
        """See Stack."""
        current = state.read(self.settings.run_dir)
        return current is not None and current.is_running()

    @property
    def endpoint(self) -> Endpoint:
        """See Stack."""
        current = self._state()
        dashboards = (("Metrics", current.prometheus),) if current.prometheus else ()
        certificate = Path(current.certificate) if current.certificate else None
        return Endpoint(current.url, certificate, current.url, certificate is None, dashboards)

    @property
    def services(self) -> Sequence[ServiceStatus]:
        """See Stack."""
        return [
            ServiceStatus(
                program.name,
                _STATES.get(program.state, program.state.lower()),
                program.pid or None,
                program.uptime_s if program.pid else None,
            )
            for program in self._programs()
        ]

    @property
    def engine_start_times(self) -> Mapping[str, float]:
        """See Stack."""
        return {
            program.name: time.time() - program.uptime_s
            for program in self._programs()
            if program.name == "llamacpp" and program.pid
        }

    @property
    def data(self) -> NativeData:
        """See Stack."""
        return NativeData(self.settings, lambda: self.is_running)

    @property
    def data_users(self) -> Sequence[Path]:
        """See Stack."""
        return [self.settings.root] if self.is_running else []

    def ports(self, shape: Shape | None) -> tuple[ports.Port, ...]:
        """See Stack."""
        return starting.required_ports(self.settings, shape)

    def start(self, shape: Shape, *, attach: bool) -> None:
        """See Stack."""
        settings = self.settings
        if shutdown.stop(settings) is not None:
            print("Ended processes of an earlier start whose supervisor is gone.")
        configuration.write(settings)
        bootstrap.print_created(settings, bootstrap.create_missing(settings))
        ports.check(self.ports(shape))
        log_ends = logs.sizes(settings.logs)
        starting.raise_file_limit()
        with starting.watchdog(settings):
            try:
                current, seconds = starting.start_supervisord(settings, shape, log_ends)
                print(f"Glasshouse is up after {seconds:.1f} s.")
                print_endpoint(settings, self.endpoint, first_model(settings, self.endpoint))
                print_shape("native", shape.reason)
                if attach:
                    self._follow(current)
            except BaseException:
                # Whatever it was, Ctrl-C included: nothing that was started stays.
                self.stop_and_report()
                raise
            if attach:
                self.stop_and_report()

    def require_started(self) -> None:
        """See Stack: a stack that lists a model has been started."""
        if first_model(self.settings, self.endpoint) is None:
            raise StackError(STARTING_ELSEWHERE)

    def reapply(self, *, attach: bool) -> None:
        """See Stack: nothing, as each program reads its settings when it starts."""
        current = self._state()
        print("Glasshouse is running already. Changed settings count after: make down, make up")
        print_endpoint(self.settings, self.endpoint, first_model(self.settings, self.endpoint))
        print_shape("native", "as it was running already")
        if attach:
            try:
                self._follow(current)
            finally:
                self.stop_and_report()

    def print_status(self) -> None:
        """See Stack; a row for each process where its supervisor does not answer."""
        current, services = self._state(), self.services
        if not services:
            self._print_processes(current)
            return
        rows = [("PROGRAM", "STATE", "PID", "UP FOR")]
        for service in services:
            uptime = "-" if service.uptime_s is None else duration(service.uptime_s)
            rows.append((service.name, service.state, str(service.pid or "-"), uptime))
        print(f"{table(rows, indent='', header=True)}\n\n{current.url}/v1")
        run_dir = self.settings.run_dir
        if shutil.disk_usage(run_dir).free < _LOW_DISK_BYTES:
            print(f"\nThe disk of {self.settings.shown(run_dir)} is full: logs and metrics are lost.", file=sys.stderr)

    def logs(self, service: str | None, lines: int, *, follow: bool) -> None:
        """See Stack; a stack that has ended has its logs still."""
        logs.show(self.settings.logs, service, lines)
        if follow:
            with suppress(KeyboardInterrupt):  # the usual end of following
                logs.follow(self.settings.logs, service, until=lambda: False)

    def down(self) -> bool:
        """See Stack."""
        report = shutdown.stop(self.settings)
        if report is None:
            return False
        if report.killed:
            print("Had to be killed: " + ", ".join(report.killed))
        names = ", ".join(report.programs) or "what was left of it"
        print(f"Stopped {names} in {duration(report.seconds)}; no process is left.")
        return True

    def stop_and_report(self) -> None:
        """Ends everything that `start` began, and says so."""
        print("\nStopping what was started …", flush=True)
        try:
            report = shutdown.stop(self.settings)
        except GlasshouseError as error:
            print(error, file=sys.stderr)
            return
        print("Stopped; no process is left." if report else "Nothing had been started.", flush=True)

    def restart_command(self, services: Sequence[str]) -> str:  # noqa: ARG002 - all are restarted together
        """See Stack."""
        return "make down, make up"

    def rig(self) -> Rig:
        """See Stack.

        Raises:
            StackError: Always: the stack without Docker has no Grafana.
        """
        raise StackError(
            "Alerts cannot be drilled without Docker: this stack has no Grafana, which evaluates and delivers them."
        )

    def rollout(self) -> NativeRollout:
        """See Stack."""
        return NativeRollout(self.settings, lambda: shutdown.stop(self.settings))

    def _follow(self, current: state.State) -> None:
        print("\nThe logs follow; Ctrl-C ends everything.\n", flush=True)
        logs.follow(self.settings.logs, None, until=lambda: not current.is_running())

    def _print_processes(self, current: state.State) -> None:
        trouble = "does not answer" if current.is_running() else "has been killed"
        rows = [(str(each.pid), processes.command(each)) for each in current.members(self.settings.root)]
        print(table([("PID", "COMMAND"), *rows], indent=""))
        print(
            f"\nsupervisord {trouble}, and these processes run without it: nothing restarts them. make down ends them."
        )

    def _programs(self) -> tuple[supervisor.Program, ...]:
        return (supervisor.programs(self.settings.socket) if self.is_supervised else None) or ()

    def _state(self) -> state.State:
        """What the last start recorded.

        Raises:
            StackError: There is no such record.
        """
        current = state.read(self.settings.run_dir)
        if current is None:
            raise StackError("Glasshouse is not running. Start it: make up")
        return current
