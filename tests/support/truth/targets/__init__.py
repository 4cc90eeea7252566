"""What every other part of the stack exposes of the same days, beside the gateway."""

from collections.abc import Sequence

from tests.support.truth.samples import Changes
from tests.support.truth.targets import gpu, launchers, llamacpp, machines, nginx, vllm
from tests.support.truth.traffic import Request


def scrapes(requests: Sequence[Request], at_engines: Sequence[Request], times: Sequence[int]) -> Changes:
    """The samples of their series, only where they change."""
    return {
        **nginx.scrapes(requests, times), **vllm.scrapes(at_engines, times), **llamacpp.scrapes(at_engines, times),
        **launchers.scrapes(times), **gpu.scrapes(times), **machines.scrapes(times),
    }  # fmt: skip
