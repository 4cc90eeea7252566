"""How often launchers started an engine (`queries.launchers`)."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import launchers
from observability.recording.group import Group

_SCOPE = Scope("1m")
# A launcher that could not be scraped for so long has its starts counted when it can.
_LONGEST_GAP = "15m"


def group() -> Group:
    """By the launcher's job."""
    return Group("glasshouse-launchers", launchers.STEP_SECONDS, {launchers.STARTS: _starts()})


def _starts() -> str:
    step, delay = launchers.STEP_SECONDS, settings.SCRAPE_INTERVAL_SECONDS
    attempts = launchers.start_attempts(_SCOPE)
    return total(increase_between_evaluations(attempts, launchers.JOBS, step, delay, _LONGEST_GAP), "job", "vm")
