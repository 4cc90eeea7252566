"""Slow uploads through the real nginx to the real gateway: nothing is buffered, and no other request waits."""

import contextlib
import json
import re
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.gateway import Gateway
from tests.support.http.connection import RawConnection
from tests.support.http.message import encode_request
from tests.support.mock import Mock, chat
from tests.support.native import needs_nginx
from tests.support.native_nginx import Nginx
from tests.support.program import HOST, until
from tests.support.services import Services

pytestmark = needs_nginx

CHAT = "/v1/chat/completions"
TEN_MB = 10_000_000
CLIENTS = 200
_PIECE = b" " * 250_000


@pytest.fixture(scope="module")
def mock(module_services: Services) -> Mock:
    return module_services.mock()


@pytest.fixture(scope="module")
def gateway(module_services: Services, mock: Mock) -> Gateway:
    return module_services.gateway(mock)


@pytest.fixture(scope="module")
def nginx(module_services: Services, gateway: Gateway) -> Iterator[Nginx]:
    nginx = Nginx.start(module_services.directory, gateway.port, RATE_LIMIT_RPS="0")
    yield nginx
    nginx.program.stop()


def head(key: str | None, *, length: int | None = TEN_MB, coding: str = "identity", path: str = CHAT) -> bytes:
    """The head of a request whose body follows; without a length it is chunked."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", f"content-encoding: {coding}"]
    lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    return "\r\n".join((*lines, "", "")).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def is_served(nginx: Nginx, key: str) -> bool:
    with nginx.open() as raw:
        return raw.send(encode_request(CHAT, chat(), key=key)).read_response().status == 200


def resident(pid: int) -> int:
    """The resident memory of a process in MiB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    (kib,) = re.findall(r"^VmRSS:\s+(\d+)", text, re.MULTILINE)
    return int(kib) // 1024


@pytest.mark.parametrize("key", [None, "sk-wrong"])
def test_uploads_without_a_valid_key_are_refused_at_once_and_not_buffered(
    nginx: Nginx, gateway: Gateway, key: str | None, measured: Callable[[str], None]
) -> None:
    workers = [*gateway.program.children(), *nginx.program.children()]
    before = {pid: resident(pid) for pid in workers}
    with contextlib.ExitStack() as open_ones:
        refused: Counter[str] = Counter()
        began = time.monotonic()
        # Each sends as soon as it is open: nginx closes one on which no head arrives for 10 s.
        raws = [open_ones.enter_context(nginx.open()).send(head(key) + _PIECE) for _ in range(CLIENTS)]
        for raw in raws:
            response = raw.read_response()
            refused[f"{response.status} {response.error['code']}"] += 1
        took = time.monotonic() - began
        for raw in raws:  # they continue all the same
            with contextlib.suppress(OSError):
                raw.send(_PIECE)
        assert nginx.buffered_bytes() == 0
        assert is_served(nginx, gateway.key)
        grown = {pid: resident(pid) - before[pid] for pid in workers}
    measured(
        f"{CLIENTS} uploads of 10 MB, key {key}: {dict(refused)} in {took:.1f} s, memory {max(grown.values()):+} MiB"
    )
    assert refused == {f"401 {'missing' if key is None else 'invalid'}_api_key": CLIENTS}
    assert max(grown.values()) < 40


@pytest.mark.parametrize("path", ["/v1/messages", "/tokenize", "/livez", "/v1/models", "/", "/unknown"])
def test_no_path_waits_for_a_body_that_it_does_not_need(nginx: Nginx, path: str) -> None:
    with contextlib.ExitStack() as open_ones:
        for _ in range(5):
            raw = open_ones.enter_context(nginx.open())
            assert 200 <= raw.send(head(None, path=path) + _PIECE).read_response().status < 500
        assert nginx.buffered_bytes() == 0


def test_concurrent_uploads_with_a_key_are_limited(
    nginx: Nginx, gateway: Gateway, measured: Callable[[str], None]
) -> None:
    (worker,) = gateway.program.children()
    before = resident(worker)
    with contextlib.ExitStack() as open_ones:
        raws = [open_ones.enter_context(nginx.open()) for _ in range(26)]
        for raw in raws:
            raw.send(head(gateway.key))
            with contextlib.suppress(OSError):
                for _ in range(38):
                    raw.send(_PIECE)
        grown = resident(worker) - before
        refused = [raw for raw in raws if has_response(raw)]
        codes = Counter(raw.read_response().error["code"] for raw in refused)
        assert nginx.buffered_bytes() == 0
        assert is_served(nginx, gateway.key)
    measured(f"26 uploads of 9.5 MB with a key: {dict(codes)}, the gateway waits for the others; memory {grown:+} MiB")
    assert codes == {"too_many_uploads": 26 - 17}  # 17 of 9.5 MB are less than 16 of MAX_BODY_BYTES
    assert grown < 250
    until(lambda: gateway.scrape_when_idle().total("gateway_inflight_requests") == 0, 10, "all have ended")


def has_response(raw: RawConnection) -> bool:
    raw.socket.settimeout(0.05)  # it arrived long ago, while the next ones were sent
    with contextlib.suppress(TimeoutError):
        return bool(raw.read())
    return False


def test_a_slow_upload_with_a_key_is_answered(nginx: Nginx, gateway: Gateway) -> None:
    body = json.dumps(chat()).encode()
    with nginx.open() as raw:
        raw.send(head(gateway.key, length=len(body)))
        for byte in body:
            raw.send(bytes([byte]))
            time.sleep(0.001)
        assert raw.read_response().status == 200


def test_a_body_that_is_too_large_is_413_wherever_that_is_detected(nginx: Nginx, gateway: Gateway) -> None:
    """Never 502: a response that arrives while nginx is still sending is relayed."""
    packer = zlib.compressobj()
    bomb = packer.compress(b" " * 11_000_000) + packer.flush()
    refused = {
        "announced": head(gateway.key, length=11_000_000) + _PIECE,
        "in chunks": head(gateway.key, length=None) + chunk(_PIECE) * 44,
        "decompressed": head(gateway.key, coding="deflate", length=len(bomb) + TEN_MB // 2) + bomb + _PIECE,
    }
    for name, request in refused.items():
        with nginx.open() as raw:
            with contextlib.suppress(OSError):
                raw.send(request)
            response = raw.read_response()
        assert (response.status, response.error["code"]) == (413, "request_too_large"), name


@pytest.mark.parametrize("attempt", range(5))
def test_an_early_answer_arrives_however_fast_the_body_comes(nginx: Nginx, attempt: int) -> None:
    with nginx.open() as raw:
        with contextlib.suppress(OSError):
            raw.send(head("sk-wrong") + _PIECE * 40)
        assert raw.read_response().status == 401, attempt


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("key", ["good", "wrong"])
def test_curl_uploads_ten_megabytes(nginx: Nginx, gateway: Gateway, tmp_path: Path, version: str, key: str) -> None:
    """curl waits for `100 Continue` before it sends the body."""
    file = tmp_path / "body"
    file.write_bytes(json.dumps(chat()).encode().ljust(TEN_MB))
    command = (
        "curl", "-sS", version, "--noproxy", "*", "--cacert", str(nginx.trusted),
        "-w", "%{http_code}", "-o", "/dev/null",
        "-H", f"authorization: Bearer {gateway.key if key == 'good' else key}", "-H", "expect: 100-continue",
        "--data-binary", f"@{file}", f"https://{HOST}:{nginx.port}{CHAT}",
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == ("200" if key == "good" else "401", "")


def test_a_client_that_disconnects_during_its_upload_is_noticed(nginx: Nginx, gateway: Gateway) -> None:
    with nginx.open() as raw:
        raw.send(head(gateway.key) + _PIECE)
        until(lambda: gateway.scrape().total("gateway_requests_started_total") > 0, 5, "the request has started")
    until(lambda: any(line.get("outcome") == "cancelled" for line in gateway.lines()), 5, "it is logged as cancelled")
    gateway.scrape_when_idle()
