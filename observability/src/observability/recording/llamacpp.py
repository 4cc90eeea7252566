"""What llama.cpp's counters gained each minute, for graphs over long ranges (`queries.llamacpp.recorded`)."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import llamacpp
from observability.queries.gateway import JOB as GATEWAY_JOB
from observability.recording.group import Group

_SCOPE = Scope("1m")
_GAUGES = Scope("70s", extremes=True)
# A server that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "15m"
# The tokens by which probes are recorded: where these are not, no server is scraped.
_ANY_TOKENS = llamacpp.recorded("tokens_predicted_total")


def group() -> Group:
    """Counters by server, and what of them the gateway's probes were."""
    counters = {
        llamacpp.recorded(counter): total(_increase(llamacpp.series(_SCOPE, counter), llamacpp.JOB), "instance", "vm")
        for counter in llamacpp.RECORDED
    }
    probes = {name: _of_probes(kind) for kind, name in llamacpp.PROBE_TOKENS.items()}
    gauges = {llamacpp.LONGEST_SEQUENCE: llamacpp.longest_sequence(_GAUGES)}
    return Group("glasshouse-llamacpp", llamacpp.STEP_SECONDS, counters | probes | gauges)


def _of_probes(kind: str) -> str:
    probed = f"{_increase(llamacpp.probe_tokens(_SCOPE, kind), GATEWAY_JOB)}"
    of_llamacpp = total(f"({probed}) and on (vm, engine) {llamacpp.gateway_engines(_SCOPE)}", "vm")
    return f"{of_llamacpp} or 0 * {total(f'{_ANY_TOKENS}{{}}', 'vm')}"


def _increase(counters: str, job: str) -> str:
    step, delay = llamacpp.STEP_SECONDS, settings.SCRAPE_INTERVAL_SECONDS
    return increase_between_evaluations(counters, job, step, delay, _LONGEST_GAP)
