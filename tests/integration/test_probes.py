"""The gateway's own probes: counted apart, with their tokens, so that an engine's counters can be reconciled."""

import re

import pytest
from tests.support.engine import Engine
from tests.support.program import until
from tests.support.services import Services

_GENERATED = re.compile(r"^llamacpp:tokens_predicted_total (\S+)$", re.MULTILINE)


def _generated(engine: Engine) -> float:
    with engine.http as http:
        found = _GENERATED.search(http.get("/metrics").raise_for_status().text)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("workers", [1, 2])
def test_an_idle_engine_has_generated_only_what_probes_have(services: Services, workers: int) -> None:
    llamacpp = services.llamacpp()
    before = _generated(llamacpp)
    gateway = services.gateway(llamacpp, workers=workers, PROBE_INTERVAL="60")
    until(lambda: gateway.scrape().total("gateway_engine_probe_tokens_total", type="output") > 0, 20, "it was probed")
    samples = gateway.scrape()
    labels = {"engine": llamacpp.kind}
    assert 1 <= samples.total("gateway_engine_probes_total", result="ok", **labels) <= workers
    assert samples.total("gateway_engine_probes_total") == samples.total("gateway_engine_probes_total", result="ok")
    assert samples.total("gateway_engine_probe_tokens_total", type="input", **labels) > 0
    assert samples.total("gateway_engine_probe_tokens_total", type="output", **labels) == _generated(llamacpp) - before
    assert samples.total("gateway_tokens_total") == 0
    assert samples.total("gateway_requests_total", route="/v1/completions") == 0
    assert samples.total("gateway_process_cpu_seconds_total") > 0
    assert samples.total("gateway_process_resident_memory_bytes") > 10_000_000 * workers
    assert samples.total("gateway_build_info") == 1
