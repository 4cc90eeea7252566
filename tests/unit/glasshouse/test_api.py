import socket
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import FakeApi

from glasshouse.api import Api
from glasshouse.errors import ApiError


def test_the_key_is_sent_and_the_first_model_found(fake_api: FakeApi) -> None:
    fake_api.answers["/v1/models"] = (200, {"data": [{"id": "one"}, {"id": "two"}]})
    with Api(fake_api.url, key="sk-1") as api:
        assert api.first_model() == "one"
    assert fake_api.requests[0][1]["Authorization"] == "Bearer sk-1"


@pytest.mark.parametrize("body", [{"data": []}, {}, {"data": ["x"]}])
def test_no_model_is_said(fake_api: FakeApi, body: object) -> None:
    fake_api.answers["/v1/models"] = (200, body)
    with Api(fake_api.url) as api, pytest.raises(ApiError, match="lists no model"):
        api.first_model()


def test_a_refusal_is_shown_with_its_reason(fake_api: FakeApi) -> None:
    fake_api.answers["/v1/models"] = (401, {"error": {"message": "This API key is not known here."}})
    with Api(fake_api.url) as api, pytest.raises(ApiError, match=r"answered 401: This API key is not known here\."):
        api.first_model()


def test_nobody_there_asks_whether_it_runs() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with Api(url) as api, pytest.raises(ApiError, match=r"Nothing answers at .* Is it running\? make up"):
        api.get("/")


def test_silence_is_said_with_its_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with Api(url, timeout=0.05) as api, pytest.raises(ApiError, match="silent"):
            api.get("/")


@pytest.mark.parametrize("url", ["ftp://h", "127.0.0.1:8000", "http://", "http://h:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ApiError, match="no address"):
        Api(url)


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=r"missing\.pem cannot be read"):
        Api("https://h", certificate=tmp_path / "missing.pem")
