"""No counter, histogram or summary is born with its first event: `increase()` would never see that event.

What mixed traffic and faults can create is compared in test_ledger.py, at the end of its runs; here is what they do not
send, and what comes while a gateway runs: keys, models, engines.
"""

import secrets
from collections.abc import Callable

import pytest
import yaml
from tests.integration.ledger.scraper import rising, scrape
from tests.integration.ledger.setups import engine, single_engine
from tests.support.gateway import Gateway, write_keys
from tests.support.http.connection import RawConnection, send_request
from tests.support.http.message import encode_request
from tests.support.mock import chat
from tests.support.program import HOST, free_port, until
from tests.support.services import Services

pytestmark = pytest.mark.xdist_group("ledger")

_CHAT, _EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
_ORIGIN = "https://app.example.com"
_PREFLIGHT = {"origin": _ORIGIN, "access-control-request-method": "POST"}
_FOREIGN_PREFLIGHT = {**_PREFLIGHT, "origin": "https://elsewhere.example.com"}
_CONNECTIONS = 20
# Of the ledger's own engine.
_MODEL = "left"

Request = Callable[[Gateway], int | None]


def _sent(
    path: str, body: object = None, *, method: str = "GET", key: bool = True, headers: dict[str, str] | None = None
) -> Request:
    """A request; its parts are those of `send_request`."""

    def send(gateway: Gateway) -> int:
        own = gateway.key if key else None
        return send_request(gateway.port, path, body, key=own, method=method, headers=headers).status

    return send


def _raw(data: bytes) -> Request:
    """Bytes that are no complete request."""

    def send(gateway: Gateway) -> int:
        with RawConnection(gateway.port) as connection:
            return connection.send(data).read_response().status

    return send


def _too_many_connections(gateway: Gateway) -> int | None:
    """One more connection than there may be; of several workers each takes that many."""
    request = encode_request("/livez", method="GET")  # sent at once: an idle connection is soon closed
    connections = [RawConnection(gateway.port).send(request) for _ in range(_CONNECTIONS * gateway.workers + 2)]
    try:
        statuses = [each.read_response().status for each in connections]
    finally:
        for each in connections:
            each.close()
    return max(statuses)


def _fault(status: int) -> dict[str, object]:
    return {**chat(mock={"fault": f"status:{status}"}), "model": _MODEL}


# What the ledger's cases do not send, with the status of each.
_REQUESTS: list[tuple[Request, int]] = [
    *((_sent(path), 200) for path in ("/", "/livez", "/readyz", "/healthz", "/health", "/v1/models", "/models/status")),
    *((_sent(path), 200) for path in (f"/v1/models/{_MODEL}", "/docs", "/openapi.json", "/docs/oauth2-redirect")),
    *((_sent(path, method="DELETE"), 405) for path in ("/", "/livez", "/v1/models", "/v1/models/x", "/docs")),
    (_sent("/", key=False, headers={"authorization": "Bearer wrong"}), 401),
    (_sent("/v1/models", key=False), 401),
    (_sent("/v1/models/x", key=False), 401),
    (_sent("/models/status", key=False), 401),
    (_sent("/v1/models/made-up"), 404),
    (_sent("/made-up"), 404),
    (_sent(_CHAT, method="OPTIONS", headers=_PREFLIGHT), 200),
    (_sent("/v1/models", method="OPTIONS", headers=_PREFLIGHT), 200),
    (_sent(_CHAT, method="OPTIONS", headers=_FOREIGN_PREFLIGHT), 403),
    (_sent("/v1/models", method="OPTIONS", headers=_FOREIGN_PREFLIGHT), 403),
    (_sent(_CHAT, chat(), method="POST", headers={"content-encoding": "compress"}), 415),
    (_sent(_CHAT, chat(), method="POST", headers={"x-long": "x" * 20_000}), 431),
    (_sent(_CHAT, _fault(404), method="POST"), 400),
    (_sent(_CHAT, _fault(413), method="POST"), 413),
    (_raw(b"GET / HTTP/1.1\r\nno colon\r\n\r\n"), 400),
    (_raw(b"GET / HTTP/1.1\r\nhost: x\r\n"), 408),
    (_too_many_connections, 503),
]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_creates_a_series(services: Services, workers: int) -> None:
    gateway, _, mocks = single_engine(
        services, workers, CORS_ORIGINS=_ORIGIN, HEADER_TIMEOUT="2", MAX_CONNECTIONS=str(_CONNECTIONS)
    )
    initial = rising(scrape(gateway))
    for request, status in _REQUESTS:
        assert request(gateway) == status, request
    mocks["left"].program.kill()
    health = ("/readyz", "/healthz", "/health")
    until(lambda: {_sent(path)(gateway) for path in health * 3} == {503}, 30, "no worker has a ready engine")
    assert _sent(_CHAT, {**chat(), "model": "made-up"}, method="POST")(gateway) in {404, 503}
    assert sorted(rising(scrape(gateway)) - initial) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_key_that_is_added_has_its_series_before_it_is_used(services: Services, workers: int) -> None:
    gateway, _, _ = single_engine(services, workers)
    new = f"gh-{secrets.token_urlsafe(8)}"
    fields = {entry["name"]: entry for entry in yaml.safe_load(gateway.keys_file.read_text())["keys"]}
    write_keys(gateway.keys_file, {**dict.fromkeys(fields, ""), "new": new}, fields=fields)
    created = 'gateway_key_requests_total{key="new",outcome="ok"} 0.0'
    until(lambda: created in gateway.exposition(), 20, "the key is known")
    before = rising(scrape(gateway))
    assert 'gateway_key_requests_total{key="old",outcome="ok"}' not in before, "it has expired and can count nothing"
    body = {**chat(stream=True), "model": _MODEL}
    until(lambda: send_request(gateway.port, _CHAT, body, key=new).status == 200, 20, "a worker accepts it")
    for _ in range(2 * workers):
        send_request(gateway.port, _CHAT, body, key=new)
        send_request(gateway.port, _CHAT, {**body, "model": "made-up"}, key=new)
        send_request(gateway.port, _EMBEDDINGS, {"model": _MODEL, "input": "x"}, key=new)
    samples = gateway.scrape_when_idle()
    assert samples.total("gateway_key_requests_total", key="new", outcome="ok") >= 1
    assert sorted(rising(scrape(gateway)) - before) == []


def test_a_model_that_is_discovered_later_has_its_series_before_its_first_request(services: Services) -> None:
    port = free_port()
    gateway = services.gateway(
        engine(services, "right"), f"left=http://{HOST}:{port}", DISCOVERY_INTERVAL="0.2", PROBE_INTERVAL="60"
    )
    initial = rising(scrape(gateway))
    engines = {name for name in initial if 'engine="left"' in name}
    assert {name.partition("{")[0] for name in engines} == {
        *("gateway_engine_requests_total", "gateway_engine_retries_total", "gateway_engine_ejections_total"),
        *("gateway_engine_probes_total", "gateway_engine_probe_tokens_total"),
    }
    assert not any('model="left"' in name for name in initial)
    engine(services, "left", port=port)
    ready = 'gateway_engine_state{engine="left",state="ready"} 1.0'
    until(lambda: ready in gateway.exposition(), 30, "the engine is ready")
    discovered = rising(scrape(gateway))
    assert {name for name in discovered - initial if 'model="left"' not in name} == set()
    for stream in (True, False):
        body = {**chat(stream=stream), "model": "left"}
        assert send_request(gateway.port, _CHAT, body, key=gateway.key).status == 200
    gateway.scrape_when_idle()
    assert rising(scrape(gateway)) == discovered
