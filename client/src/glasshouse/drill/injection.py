"""Puts faults in and undoes them. What has to be undone is noted in the journal before it is done."""

import hashlib
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from glasshouse.drill import targets
from glasshouse.drill.fault import SPARE_ENGINE, Fault
from glasshouse.drill.grafana import Grafana, Matcher
from glasshouse.drill.journal import Journal
from glasshouse.drill.load import FILE as LOAD
from glasshouse.drill.load import LoadFile
from glasshouse.drill.stand_in import CERTIFICATE
from glasshouse.errors import DrillError, GlasshouseError
from glasshouse.files import write_atomically
from glasshouse.secrets import certificate
from glasshouse.stack.rig import Rig

KEYS = "keys.yaml"
_KEPT = ".gitignore"
_MODE = 0o644  # the services run as another user; what is here is no secret of the stack's
_GOOD_STATUS, _GOOD_DAYS = 200, 90
# A silence outlives neither its fault nor, should nobody end it, the hour.
_SILENCE_MINUTES = 30


class Injection:
    """The faults of one drill.

    Args:
        rig: the stack.
        grafana: its Grafana.
        journal: what has to be undone.
        spare_engine: the name of an engine that may be stopped, or why none may; asked when it is needed.
    """

    def __init__(self, rig: Rig, grafana: Grafana, journal: Journal, spare_engine: Callable[[], str]) -> None:
        self._rig, self._grafana, self._journal, self._spare_engine = rig, grafana, journal, spare_engine
        self._targets: dict[str, targets.Json] = {}
        self._parts: dict[str, tuple[str, str]] = {}  # by fault: the stopped part, and the silence of its real alert
        self._key = f"gh-{secrets.token_urlsafe(32)}"

    def begin(self) -> None:
        """Starts the stand-ins.

        Raises:
            GlasshouseError: One does not start.
        """
        clear(self._rig.directory)
        digest = hashlib.sha256(self._key.encode()).hexdigest()
        self._write(KEYS, json.dumps({"keys": [{"name": "drill", "sha256": digest}]}))
        self._write_certificate(_GOOD_DAYS)
        self._rig.start_stand_ins()

    def put_in(self, fault: Fault) -> str:
        """Puts a fault in; returns the `instance` whose alerts must fire.

        Raises:
            GlasshouseError: It cannot be put in.
        """
        if fault.stops is not None:
            return self._stop(fault, fault.stops)
        stand_ins = self._rig.stand_ins
        if fault.endpoint is not None:
            self._write_certificate(fault.endpoint.days)
            self._write(f"{fault.name}.status", str(fault.endpoint.status))
            return self._add(fault, targets.probe(stand_ins, fault.name))
        if fault.load is not None:
            url = f"http://{stand_ins.gateway}"
            key = self._key if fault.load.has_valid_key else "gh-wrong"
            self._write(LOAD, LoadFile(url, key, fault.load.body, fault.load.cancel_after_s).text())
            return self._add(fault, targets.gateway(stand_ins))
        self.refresh(fault, 0)
        return self._add(fault, targets.page(stand_ins, fault.job or "", fault.name))

    def refresh(self, fault: Fault, seconds: float) -> None:
        """Rewrites the metrics page of a fault, which is that old."""
        if fault.page is not None:
            self._write(f"{fault.name}.metrics", fault.page(seconds))

    def undo(self, fault: Fault) -> None:
        """Undoes a fault. The target of one that can recover stays, so that its alert resolves by what is scraped.

        Raises:
            GlasshouseError: A part cannot be started.
        """
        if fault.name in self._parts:
            part, silence = self._parts.pop(fault.name)
            self._rig.start(part)
            self._journal.remove(stopped=part)
            self._grafana.expire(silence)
            self._journal.remove(silence=silence)
        if fault.endpoint is not None:
            self._write_certificate(_GOOD_DAYS)
            self._write(f"{fault.name}.status", str(_GOOD_STATUS))
        if fault.load is not None:
            (self._rig.directory / LOAD).unlink(missing_ok=True)
        if fault.page is not None:
            self.forget(fault)

    def forget(self, fault: Fault) -> None:
        """Removes the target of a fault."""
        if self._targets.pop(fault.name, None) is not None:
            self._write_targets()

    def _stop(self, fault: Fault, stops: str) -> str:
        part = self._spare_engine() if stops == SPARE_ENGINE else stops
        if part not in self._rig.parts:
            raise DrillError(f"{part} does not run.")
        target = self._rig.parts[part]
        instance = self._add(fault, targets.second_scrape(target))
        # The real target's alert stays silent: the same failure, scraped for the drill, is delivered as a drill.
        real = (Matcher("instance", target.address), Matcher("vm", "drill", is_equal=False))
        silence = self._grafana.silence(real, _SILENCE_MINUTES, f"A drill has stopped {part}: its alert says [DRILL].")
        self._journal.add(silence=silence)
        self._parts[fault.name] = (part, silence)
        self._journal.add(stopped=part)
        self._rig.stop(part)
        return instance

    def _add(self, fault: Fault, target: targets.Json) -> str:
        self._targets[fault.name] = target
        self._write_targets()
        return targets.instance(target)

    def _write_targets(self) -> None:
        # Faults may share a target, such as the drill's gateway; a duplicate would be scraped twice.
        distinct = list({targets.instance(target): target for target in self._targets.values()}.values())
        self._write(targets.FILE, targets.text(distinct))

    def _write_certificate(self, days: int) -> None:
        now = datetime.now(UTC) + timedelta(days=days) - certificate.LIFETIME
        pair = certificate.make(("drill",), now)
        self._write(CERTIFICATE, pair.certificate + pair.key)

    def _write(self, name: str, text: str) -> None:
        write_atomically(self._rig.directory / name, text, _MODE)


def undo_all(rig: Rig, journal: Journal, grafana: Grafana | None) -> None:
    """Undoes whatever a drill has left: starts what it stopped, removes its targets and its stand-ins.

    Args:
        rig: the stack.
        journal: what has to be undone.
        grafana: its Grafana; None where it cannot be asked, as its silences expire by themselves.

    Raises:
        GlasshouseError: A part cannot be started, or a stand-in removed; the journal still names it.
    """
    changes = journal.read()
    for part in changes.stopped:
        rig.start(part)
        journal.remove(stopped=part)
    clear(rig.directory)
    rig.remove_stand_ins()
    if grafana is not None:
        for silence in changes.silences:
            with suppress(GlasshouseError):  # it expires by itself
                grafana.expire(silence)
    journal.end()


def clear(directory: Path) -> None:
    """Empties the drill's directory; the targets go first."""
    directory.mkdir(parents=True, exist_ok=True)
    with suppress(PermissionError):  # another user's, who has seen to it
        directory.chmod(0o755)  # git gives it the umask's rights, and the services run as another user
    (directory / targets.FILE).unlink(missing_ok=True)
    for path in directory.iterdir():
        if path.name != _KEPT:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_file():
        path.unlink(missing_ok=True)
