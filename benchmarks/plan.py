"""What a run measures: its scenarios, and how long each takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.load import Load

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECTIONS = (1, 32, 128, 512)
PROMPTS_KB = (1, 20, 100)
PACED, FLAT_OUT = "streams, paced", "streams, flat out"
UNLIMITED = 1_000_000  # requests; the seconds of a load end it
TIMEOUT_S = 120.0  # which a target that hangs costs, once per scenario and round
STREAM_TOKENS, INTERVAL_S, STREAMS = 50, 0.02, 100


def plain(connections: int) -> str:
    """Return the name of the scenario with so many connections."""
    return f"plain, {connections} connection{'' if connections == 1 else 's'}"


def prompt(kilobytes: int) -> str:
    """Return the name of the scenario with prompts of this size."""
    return f"plain, prompts of {kilobytes} kB"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Args:
        rounds: how often each target is measured in each scenario, in turn with the others.
        starts: how often each target is started, to time that.
        loads: by the name of the scenario.
    """

    rounds: int
    starts: int
    loads: Mapping[str, Load]


def scenarios(seconds: float, repeats: int) -> dict[str, Load]:
    """Return the load of each scenario.

    Args:
        seconds: that each load takes, but for the paced streams.
        repeats: of each paced stream, which takes one second.
    """
    timed = Load(UNLIMITED, seconds=seconds, timeout_s=TIMEOUT_S)
    streams = replace(timed, stream=True, tokens=STREAM_TOKENS)
    paced = replace(
        streams, requests=STREAMS * repeats, connections=STREAMS, interval_s=INTERVAL_S,
        spread_s=STREAM_TOKENS * INTERVAL_S, seconds=0.0,
    )  # fmt: skip
    return {
        **{plain(number): replace(timed, connections=number) for number in CONNECTIONS},
        **{prompt(size): replace(timed, prompt_bytes=size * 1_000) for size in PROMPTS_KB},
        PACED: paced,
        FLAT_OUT: replace(streams, tokens=4 * STREAM_TOKENS),
    }


def full() -> Plan:
    """Return the plan of a published run."""
    return Plan(rounds=5, starts=3, loads=scenarios(3.0, 4))


def short() -> Plan:
    """Return a plan to try a change with: its figures are rough."""
    return Plan(rounds=2, starts=1, loads=scenarios(0.7, 1))


WARM_UP = scenarios(0.3, 1)
"""Discarded: connections open, caches fill, modules are imported."""
