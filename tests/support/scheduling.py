"""How the tests are spread over pytest-xdist's workers: in groups, the long ones first, and some last and alone.

Tests of one file stay together, since they share what its fixtures start. Tests that use Docker share one composed
stack and one tag of its images, and so are one group; the marker `xdist_group` makes others (whole native stacks, the
ledger). Those begin first, since they take longest. Tests marked `serial` or `timing` form the group `alone`: it runs
when all other workers have ended, on the one that is left. Without xdist (`-n 0`) they run last, too.

A `timing` test that fails runs once more; the closing lines say so.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

ALONE = "alone"
_FIRST = ("docker", "native", "ledger")
_GROUPS = "groups"


@pytest.hookimpl(trylast=True)  # what is deselected has gone
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the tests that run alone at the end; a worker writes down for the controller which groups there are.

    xdist's own groups reach the controller as a part of a test's name, which pytest 9.2 no longer lets it change.
    """
    for item in items:
        if item.get_closest_marker("timing"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=_is_alone)
    worker = getattr(config, "workerinput", {})
    if worker.get("workerid") == "gw0":
        groups = {item.nodeid: group for item in items if (group := _group(item))}
        Path(worker[_GROUPS]).write_text(json.dumps(groups), encoding="utf-8")


def _is_alone(item: pytest.Item) -> bool:
    return _group(item) == ALONE


def _group(item: pytest.Item) -> str | None:
    """The group that a test is in, where it is not that of its file."""
    if item.get_closest_marker("serial") or item.get_closest_marker("timing"):
        return ALONE
    if item.get_closest_marker("docker") or "tests/stack/" in item.nodeid:
        return "docker"
    marker = item.get_closest_marker("xdist_group")
    return None if marker is None else str(marker.args[0])


def pytest_configure_node(node: WorkerController) -> None:
    """See pytest-xdist. Tells a worker where to write."""
    node.workerinput[_GROUPS] = str(_file_of_groups(node.workerinput["testrunuid"]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> AloneLastScheduling:
    """See pytest-xdist."""
    return AloneLastScheduling(config, log)


def _file_of_groups(run: str) -> Path:
    return Path(tempfile.gettempdir()) / f"pytest-groups-{run}.json"


class AloneLastScheduling(LoadScopeScheduling):
    """Schedules groups as xdist does, but for one: `ALONE` waits until a single worker is left."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._alone: dict[str, bool] = {}
        self._groups: dict[str, str] = {}

    @property
    def tests_finished(self) -> bool:
        """See xdist."""
        return not self._alone and super().tests_finished

    @property
    def has_pending(self) -> bool:
        """See xdist."""
        return bool(self._alone) or super().has_pending

    def schedule(self) -> None:
        """See xdist. The long groups begin first; `ALONE` is kept back."""
        if self.collection is not None or not self._check_nodes_have_same_collection():
            super().schedule()
            return
        self.collection = list(next(iter(self.registered_collections.values())))
        written = _file_of_groups(self.nodes[0].workerinput["testrunuid"])
        self._groups = json.loads(written.read_text(encoding="utf-8"))
        written.unlink()
        groups: dict[str, dict[str, bool]] = {}
        for nodeid in self.collection:
            groups.setdefault(self._split_scope(nodeid), {})[nodeid] = False
        self._alone = groups.pop(ALONE, {})
        for group in sorted(groups, key=lambda group: (group not in _FIRST, -len(groups[group]))):
            self.workqueue[group] = groups[group]
        for node in self.nodes * 2:  # each needs to know of the test behind the one that it runs
            self._reschedule(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """See xdist. With the last but one worker gone, the tests that run alone begin."""
        crashed = super().remove_node(node)
        if len(self.nodes) == 1:
            self._reschedule(self.nodes[0])
        return crashed

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid) or nodeid.partition("::")[0]

    def _reschedule(self, node: WorkerController) -> None:
        if self._alone and not self.workqueue:
            if len(self.nodes) > 1:
                if any(other is not node and not other.shutting_down for other in self.nodes):
                    node.shutdown()
                return
            self.workqueue[ALONE], self._alone = self._alone, {}
        super()._reschedule(node)
