"""How the tests are spread over pytest-xdist's workers: in groups, the long ones first, and some last and alone.

Tests of one file stay together, since they share what its fixtures start. Tests below the folders in `_TOGETHER` share
one thing that there is only once (the composed stack with its image tag, the ledger's load), so each such folder is one
group; it begins first, because it takes longest. Tests marked `serial` or `timing` form the group `alone`: it runs when
all other workers have ended, on the one that is left. Without xdist (`-n 0`) they run last, too.

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
_TOGETHER = ("tests/stack/", "tests/grafana/", "tests/integration/ledger/")
_ALONE_MARKERS = ("serial", "timing")


def group_of(nodeid: str) -> str:
    """The group of a test that may run beside others: its folder of `_TOGETHER`, else its file."""
    return next((folder for folder in _TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])


@pytest.hookimpl(trylast=True)  # what is deselected has gone
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the tests that run alone at the end; a worker writes down for the controller which they are.

    xdist's own groups reach the controller as a part of a test's name, which pytest 9.2 no longer lets it change.
    """
    for item in items:
        if item.get_closest_marker("timing"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=_is_alone)
    worker = getattr(config, "workerinput", {})
    if worker.get("workerid") == "gw0":
        names = [item.nodeid for item in items if _is_alone(item)]
        Path(worker[ALONE]).write_text(json.dumps(names), encoding="utf-8")


def _is_alone(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in _ALONE_MARKERS)


def pytest_configure_node(node: WorkerController) -> None:
    """See pytest-xdist. Tells a worker where to write."""
    node.workerinput[ALONE] = str(_list_of_alone(node.workerinput["testrunuid"]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> AloneLastScheduling:
    """See pytest-xdist."""
    return AloneLastScheduling(config, log)


def _list_of_alone(run: str) -> Path:
    return Path(tempfile.gettempdir()) / f"pytest-alone-{run}.json"


class AloneLastScheduling(LoadScopeScheduling):
    """Schedules groups as xdist does, but for one: `ALONE` waits until a single worker is left."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._alone: dict[str, bool] = {}
        self._names: frozenset[str] = frozenset()

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
        written = _list_of_alone(self.nodes[0].workerinput["testrunuid"])
        self._names = frozenset(json.loads(written.read_text(encoding="utf-8")))
        written.unlink()
        groups: dict[str, dict[str, bool]] = {}
        for nodeid in self.collection:
            groups.setdefault(self._split_scope(nodeid), {})[nodeid] = False
        self._alone = groups.pop(ALONE, {})
        for group in sorted(groups, key=lambda group: (group not in _TOGETHER, -len(groups[group]))):
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
        return ALONE if nodeid in self._names else group_of(nodeid)

    def _reschedule(self, node: WorkerController) -> None:
        if self._alone and not self.workqueue:
            if len(self.nodes) > 1:
                if any(other is not node and not other.shutting_down for other in self.nodes):
                    node.shutdown()
                return
            self.workqueue[ALONE], self._alone = self._alone, {}
        super()._reschedule(node)
