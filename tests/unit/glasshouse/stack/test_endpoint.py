import pytest
from tests.unit.glasshouse.conftest import FakeApi

from glasshouse.settings import Settings
from glasshouse.stack.endpoint import Endpoint, first_model, print_endpoint, why_not_ready


def _endpoint(fake_api: FakeApi) -> Endpoint:
    return Endpoint(fake_api.url, None, "https://llm.example.org", is_trusted=False, dashboards=(("Grafana", "there"),))


def test_what_is_waited_for_is_named(fake_api: FakeApi) -> None:
    assert why_not_ready("nginx", "http://127.0.0.1:1", None) == "nginx to listen"
    fake_api.answers["/healthz"] = (503, {"reason": "No engine is ready."})
    assert why_not_ready("the API", fake_api.url, None) == "the API: No engine is ready."
    fake_api.answers["/healthz"] = (502, "bad gateway")
    assert why_not_ready("the API", fake_api.url, None) == "the API: it answers 502"
    fake_api.answers["/healthz"] = (200, {})
    assert why_not_ready("the API", fake_api.url, None) is None


def test_the_first_model_needs_a_key_that_can_be_read(settings: Settings, fake_api: FakeApi) -> None:
    fake_api.answers["/v1/models"] = (200, {"data": [{"id": "demo"}, {"id": "other"}]})
    assert first_model(settings, _endpoint(fake_api)) is None
    settings.secrets_dir.mkdir()
    settings.api_key_file.write_text("sk-x\n")
    assert first_model(settings, _endpoint(fake_api)) == "demo"
    assert fake_api.requests[-1][1]["Authorization"] == "Bearer sk-x"


def test_addresses_and_a_request_to_paste_are_printed(
    settings: Settings, fake_api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.secrets_dir.mkdir()
    print_endpoint(settings, _endpoint(fake_api), "demo")
    message = capsys.readouterr().out
    assert "API      https://llm.example.org/v1" in message
    assert "Grafana  there" in message
    assert f"curl -s --cacert {settings.shown(settings.certificate)} https://llm.example.org/v1/chat" in message
    assert '"model": "demo"' in message
