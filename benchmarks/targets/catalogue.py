"""The targets by name: how each is started, and what it does for a request beside relaying it."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.targets import gateway, nginx, peers
from benchmarks.targets.target import ROOT, Target, UnavailableError, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class Entry:
    """A target that can be measured.

    Args:
        start: starts it.
        version: of what it is; None where it is this checkout, or not installed.
        does: what it does for each request as it is started here.
    """

    start: Callable[[Workspace], Target]
    version: Callable[[], str | None]
    does: str


Missing = dict[str, str]
"""By name, why a target does not run."""
Starts = dict[str, list[float]]
"""By name, how many seconds each start of a target took."""

REASON_CHARACTERS = 300  # of a target that is left out, for the results; all of it is shown during the run
_EVERYTHING = "API key, usage and cost, metrics, one log line"
_ROUTER = "metrics"
_CODED = "decodes and encodes each answer and event anew"


def _peer(name: str, start: Callable[[Workspace], Target], does: str) -> Entry:
    return Entry(start, partial(peers.version, name), does)


def _ours(workers: int) -> Entry:
    return Entry(partial(gateway.start_gateway, workers=workers), lambda: None, _EVERYTHING)


CATALOGUE: dict[str, Entry] = {
    "nginx": Entry(nginx.start_nginx, nginx.version, "nothing"),
    "nginx-tls": Entry(nginx.start_nginx_tls, nginx.version, "TLS"),
    "gateway-1": _ours(1),
    "gateway-2": _ours(2),
    "vllm-router": _peer("vllm-router", peers.start_vllm_router, _ROUTER),
    "smg": _peer("smg", peers.start_smg, _ROUTER),
    "sglang-router": _peer("sglang-router", peers.start_sglang_router, _ROUTER),
    "tensorzero": _peer("tensorzero", peers.start_tensorzero, _CODED),
    "litellm": _peer("litellm", peers.start_litellm, f"API key; {_CODED}"),
}


def start(workspace: Workspace, names: Iterable[str], starts: int = 1) -> tuple[list[Target], Starts, Missing]:
    """Start the named targets, one after the other, each so many times.

    Returns:
        The running targets; by name how many seconds each start took; by name why the others do not run.
    """
    running: list[Target] = []
    took: Starts = {}
    missing: Missing = {}
    try:
        for name in names:
            print(f"starting {name} …", file=sys.stderr, flush=True)
            try:
                earlier = [_start_and_stop(CATALOGUE[name], workspace) for _ in range(starts - 1)]
                running.append(CATALOGUE[name].start(workspace))
                took[name] = [*earlier, running[-1].started_s]
            except UnavailableError as error:
                missing[name] = textwrap.shorten(str(error).replace(str(ROOT), "."), REASON_CHARACTERS)
                print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
    except BaseException:
        stop(running)
        raise
    return running, took, missing


def stop(targets: Iterable[Target]) -> None:
    """Stop every target, all at once: some take many seconds."""
    given = list(targets)
    for target in given:
        target.process.process.terminate()
    for target in given:
        target.process.stop()


def _start_and_stop(entry: Entry, workspace: Workspace) -> float:
    target = entry.start(workspace)
    target.process.stop()
    return target.started_s
