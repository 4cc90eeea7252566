import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.privacy_canary.pages import Pages

from glasshouse.privacy_canary import places
from glasshouse.privacy_canary.places import Run, Unreadable
from glasshouse.privacy_canary.settings import Settings

TOKEN = b"0123456789abcdef"
RUN = Run("privacy-canary-1", began=time.time())


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as started:
        yield started


def read(name: str, **settings: Any) -> int:
    (place,) = [each for each in places.places(Settings(**settings)) if each.name == name]
    return places.occurrences(place.read(RUN), TOKEN)


@pytest.mark.parametrize("size", [1, 3, 15, 16, 17, 1000])
def test_a_token_is_found_across_chunks_once_for_each_time(size: int) -> None:
    text = b"x" * 7 + TOKEN + TOKEN.upper() + b"y" * 9 + TOKEN[:-1] + b"z" + TOKEN
    chunks = (text[start : start + size] for start in range(0, len(text), size))
    assert places.occurrences(chunks, TOKEN) == 3


def test_the_gateways_log_is_searched_if_it_has_the_canarys_requests(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_bytes(b'{"request_id": "privacy-canary-1"}\n')
    assert read("log:gateway", logs={"gateway": str(log)}) == 0
    log.write_bytes(b'{"request_id": "privacy-canary-1", "prompt": "Repeat 0123456789ABCDEF"}\n')
    assert read("log:gateway", logs={"gateway": str(log)}) == 1
    log.write_bytes(b"lines of another day, when somebody still wrote this file\n")
    with pytest.raises(Unreadable, match="no line of the canary's requests"):
        read("log:gateway", logs={"gateway": str(log)})


def test_the_sign_of_a_request_is_seen_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_CHUNK_BYTES", 7)
    log = tmp_path / "gateway.log"
    log.write_bytes(b"12345privacy-canary-1" + TOKEN)
    assert read("log:gateway", logs={"gateway": str(log)}) == 1


def test_a_log_that_was_rotated_during_the_run_is_searched_too(tmp_path: Path) -> None:
    log = tmp_path / "llamacpp.log"
    log.write_bytes(b"new")
    (tmp_path / "llamacpp.log.1").write_bytes(TOKEN)
    old = tmp_path / "llamacpp.log.2"
    old.write_bytes(TOKEN)
    os.utime(old, (RUN.began - 3600, RUN.began - 3600))
    assert read("log:llamacpp", logs={"llamacpp": str(log)}) == 1


def test_a_log_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="No such file"):
        read("log:vllm", logs={"vllm": str(tmp_path / "vllm.log")})


def test_copies_of_logs_are_emptied_and_logs_are_not(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_bytes(b"lines")
    names = {"gateway": str(log), "vllm": str(tmp_path / "missing.log")}
    places.truncate(Settings(logs=names))
    assert log.read_bytes() == b"lines"
    places.truncate(Settings(logs=names, truncate_logs=True))
    assert log.read_bytes() == b""


def test_a_metrics_page_is_searched(pages: Pages) -> None:
    pages.texts["/metrics"] = b'# TYPE a counter\na{prompt="0123456789abcdef"} 1\n'
    assert read("metrics:engine", pages={"engine": f"{pages.url}/metrics"}) == 1


def test_the_engine_key_is_shown_only_where_it_is_asked_for(pages: Pages, tmp_path: Path) -> None:
    key = tmp_path / "engine-key"
    key.write_text("secret\n")
    pages.texts |= {"/open": b"# TYPE a counter\n", "/closed": b"# TYPE a counter\n"}
    pages.logins["/closed"] = "Bearer secret"
    for name in ("open", "closed"):
        assert read(f"metrics:{name}", pages={name: f"{pages.url}/{name}"}, engine_key_file=key) == 0
    assert pages.seen == [("/open", None), ("/closed", None), ("/closed", "Bearer secret")]


@pytest.mark.parametrize("text", [b"", b"<html>starting</html>"])
def test_a_page_without_metrics_cannot_be_read(pages: Pages, text: bytes) -> None:
    pages.texts["/metrics"] = text
    with pytest.raises(Unreadable, match="not a page of metrics"):
        read("metrics:engine", pages={"engine": f"{pages.url}/metrics"})


def test_a_page_that_does_not_answer_or_refuses_cannot_be_read(pages: Pages) -> None:
    with pytest.raises(Unreadable, match="does not answer"):
        read("metrics:engine", pages={"engine": "http://127.0.0.1:1/metrics"})
    with pytest.raises(Unreadable, match="answered 404"):
        read("metrics:engine", pages={"engine": f"{pages.url}/metrics"})
    pages.texts["/metrics"], pages.logins["/metrics"] = b"# TYPE a counter\n", "Bearer right"
    with pytest.raises(Unreadable, match="answered 401"):
        read("metrics:engine", pages={"engine": f"{pages.url}/metrics"})


def test_every_label_value_of_prometheus_is_searched(pages: Pages) -> None:
    pages.texts |= {
        "/api/v1/labels": b'{"status": "success", "data": ["job", "prompt"]}',
        "/api/v1/label/job/values": b'{"data": ["gateway"]}',
        "/api/v1/label/prompt/values": b'{"data": ["Repeat 0123456789abcdef"]}',
    }
    assert read("prometheus:labels", prometheus=pages.url) == 1
    pages.texts["/api/v1/labels"] = b'{"status": "success", "data": []}'
    with pytest.raises(Unreadable, match="lists no label `job`"):
        read("prometheus:labels", prometheus=pages.url)
    pages.texts["/api/v1/labels"] = b"starting"
    with pytest.raises(Unreadable, match="JSON object"):
        read("prometheus:labels", prometheus=pages.url)


def test_grafanas_annotations_are_searched_with_its_password(pages: Pages, tmp_path: Path) -> None:
    password = tmp_path / "grafana-password"
    password.write_text("pw\n")
    pages.texts["/api/annotations?limit=5000"] = b'[{"text": "0123456789abcdef"}]'
    pages.logins["/api/annotations?limit=5000"] = "Basic YWRtaW46cHc="
    assert read("grafana:annotations", grafana=pages.url, grafana_password_file=password) == 1
    password.write_text("changed")
    with pytest.raises(Unreadable, match="answered 401"):
        read("grafana:annotations", grafana=pages.url, grafana_password_file=password)
    with pytest.raises(Unreadable, match="cannot be read"):
        read("grafana:annotations", grafana=pages.url, grafana_password_file=tmp_path / "missing")


def test_a_stack_without_prometheus_and_grafana_has_no_such_places() -> None:
    assert [place.name for place in places.places(Settings(logs={"gateway": "a"}, pages={"b": "http://c"}))] == [
        "log:gateway",
        "metrics:b",
    ]
