"""The record of a good stream; tests change what they ask about."""

from gateway.telemetry.record import RequestRecord
from gateway.usage import Usage

RECORD = RequestRecord(
    request_id="r1",
    route="/v1/x",
    key="tester",
    model="m",
    engine="e",
    stream=True,
    outcome="ok",
    code=200,
    error_code=None,
    timeout_phase=None,
    duration=2.5,
    ttft=0.25,
    generating=1.0,
    usage=Usage(input=10, output=5, cached=4, reasoning=2),
    token_events=5,
    attempts=2,
    cost=0.000012345678901234,
    log=True,
)
