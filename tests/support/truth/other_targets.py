"""What the other parts of the stack expose of these requests: nginx, its exporter, the probe, the engines."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.support.truth import traffic
from tests.support.truth.exposition import Changes
from tests.support.truth.traffic import Request

Samples = list[tuple[int, float | None]]

_NGINX = f'job="nginx",instance="nginx-exporter:9113",vm="{traffic.VM}"'
_PROBE = f'job="probe",instance="https://nginx/healthz",vm="{traffic.VM}"'
_VLLM = f'job="vllm",instance="vllm:8000",vm="{traffic.VM}",model_name="large",engine="0"'


def scrapes(requests: Sequence[Request], times: Sequence[int]) -> Changes:
    """The samples of their series, only where they change."""
    start = times[0]
    nginx: list[tuple[int, float]] = [(start, 0.0)]
    up: Samples = [(start, 1.0)]
    for restart in traffic.RESTARTS:
        if restart.start > start:
            nginx.append((_scraped(restart.end, times), nginx[-1][1] + restart.nginx_responses))
            up += [(_scraped(restart.start, times), 0.0), (_scraped(restart.end, times), 1.0)]
    waiting, running = _queue(requests, times)
    return {
        ("up", _NGINX): [(start, 1.0)],
        ("up", _PROBE): [(start, 1.0)],
        ("up", _VLLM.partition(",model_name")[0]): [(start, 1.0)],
        ("nginx_own_responses_total", f'{_NGINX},code="502"'): [*nginx],
        ("probe_success", _PROBE): [*up],
        ("vllm:num_requests_waiting", _VLLM): waiting,
        ("vllm:num_requests_running", _VLLM): running,
    }


def _queue(requests: Iterable[Request], times: Sequence[int]) -> tuple[Samples, Samples]:
    """Of requests in flight at vLLM, those beyond its slots wait."""
    moves: dict[int, int] = defaultdict(int)
    for request in requests:
        if request.model == "large" and request.tokens:
            moves[_scraped(request.started, times)] += 1
            moves[_scraped(request.ended, times)] -= 1
    inside = 0
    waiting: Samples = [(times[0], 0.0)]
    running: Samples = [(times[0], 0.0)]
    for at in sorted(moves):
        inside += moves[at]
        running.append((at, float(min(inside, traffic.SLOTS))))
        waiting.append((at, float(max(0, inside - traffic.SLOTS))))
    return waiting, running


def _scraped(at: float, times: Sequence[int]) -> int:
    """The first scrape at or after a moment."""
    index = bisect_left(times, at)
    return times[min(index, len(times) - 1)]
