import pytest
from tests.unit.glasshouse.conftest import Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse.secrets import bootstrap
from glasshouse.stack.compose.endpoint import endpoint_of
from glasshouse.stack.compose.stack import ComposeStack


def test_the_ports_are_those_that_docker_publishes(docker: FakeDocker, read: Read) -> None:
    settings = read()
    bootstrap.create_missing(settings)
    docker.plan(containers=[docker.container("nginx", ports={80: 28080, 443: 28443}), docker.container("grafana")])
    endpoint = endpoint_of(settings, ComposeStack(settings).containers)
    assert endpoint.url == endpoint.public_url == "https://localhost:28443"
    assert endpoint.certificate == settings.certificate
    assert not endpoint.is_trusted
    assert [title for title, _ in endpoint.dashboards] == ["Grafana"]


def test_a_certificate_that_cannot_be_read_leaves_health_without_tls(docker: FakeDocker, read: Read) -> None:
    settings = read()
    docker.plan(containers=[docker.container("nginx", ports={80: 28080, 443: 443})])
    endpoint = endpoint_of(settings, ComposeStack(settings).containers)
    assert (endpoint.url, endpoint.certificate) == ("http://localhost:28080", None)
    assert endpoint.public_url == "https://localhost"


def test_a_domains_own_certificate_is_trusted(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(TLS_DOMAIN="llm.example.org", HTTPS_PORT="443")
    bootstrap.create_missing(settings)
    monkeypatch.setattr("glasshouse.secrets.certificate.is_managed", lambda _: False)
    endpoint = endpoint_of(settings, ())
    assert endpoint.public_url == "https://llm.example.org"
    assert endpoint.is_trusted
