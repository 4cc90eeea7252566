"""The pages that the machines of the stub give. As a program it writes golden/*.metrics anew: read the difference.

PYTHONPATH=. .venv/bin/python -m tests.integration.gpu_exporter.golden
"""

import functools
import re
import sys
import tempfile
from pathlib import Path

from tests.integration.gpu_exporter.exporter import HERE, Exporter, Machine, build_stub

KINDS = ("l4", "t4", "a100-mig")
# Two values are of the moment; all else is the stub's.
_OF_THE_MOMENT = re.compile(
    r"^(gpu_exporter_(?:collect_duration_seconds|last_success_timestamp_seconds)) \S+$", re.MULTILINE
)


def file(kind: str) -> Path:
    """Where the page of a machine is kept."""
    return HERE / "golden" / f"{kind}.metrics"


def timeless(page: str) -> str:
    """A page without what differs between two scrapes."""
    return _OF_THE_MOMENT.sub(r"\1 0", page)


def page(kind: str, *xids: int) -> str:
    """What an exporter of its own gives for a machine, after these XID events of its first GPU."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        build_stub(directory)
        machine = Machine(directory, kind)
        exporter = Exporter(directory, directory, machine, {})
        try:
            exporter.ready(exporter.answers, 20)
            exporter.scrape()
            for xid in xids:
                machine.xid(xid)
                exporter.ready(functools.partial(_seen, exporter, xid), 10)
            return timeless(exporter.scrape().text)
        finally:
            exporter.stop()


def _seen(exporter: Exporter, xid: int) -> bool:
    return f": XID {xid};" in exporter.text()


if __name__ == "__main__":
    for kind in KINDS:
        file(kind).write_text(page(kind), encoding="utf-8")
        sys.stderr.write(f"wrote {file(kind)}\n")
