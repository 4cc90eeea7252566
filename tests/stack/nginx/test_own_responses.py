"""Requests to the API that no gateway counts, since nginx answered them with a 5xx of its own, are a metric."""

import re

from tests.support.compose.stack import docker, until
from tests.support.nginx.client import NginxClient
from tests.support.nginx.containers import NginxContainer, Sandbox

NONE = {"500": 0, "502": 0, "503": 0, "504": 0}


def counted(nginx: NginxContainer) -> dict[str, int]:
    page = docker("exec", nginx.id, "curl", "-fsS", "http://127.0.0.1:8081/metrics")
    found = re.findall(r'^nginx_own_responses_total\{code="(\d+)"\} (\d+)$', page, re.MULTILINE)
    return {code: int(count) for code, count in found}


def test_they_are_counted_and_other_responses_are_not(sandbox: Sandbox) -> None:
    sandbox.upstream()
    nginx = sandbox.nginx()
    client = NginxClient(nginx, sandbox.tls / "cert.pem")
    until(lambda: client.request("/livez").status == 200, 10, "the gateway is found")
    assert counted(nginx) == NONE
    for path, response in (
        ("/v1/models", {"status": 500}),  # the gateway's own
        ("/livez", {"reset": True}),  # a health check
        ("/grafana/", {}),  # there is no Grafana here
        ("/nothing", {}),
        ("/v1/models", {"reset": True}),
        ("/v1/models?x=1", {"reset": True}),
    ):
        client.request(path, do=response)
    until(lambda: counted(nginx) != NONE, 10, "it has counted")
    assert counted(nginx) == NONE | {"502": 2}
