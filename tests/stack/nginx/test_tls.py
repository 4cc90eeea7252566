"""TLS as in Mozilla's "intermediate" configuration, tested suite by suite."""

import re
import socket
import ssl
import subprocess

import pytest
from tests.support.compose.stack import until
from tests.support.nginx.client import NginxClient
from tests.support.nginx.containers import Sandbox

INTERMEDIATE = {
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305",
}  # fmt: skip


def handshake(client: NginxClient, *options: str) -> str:
    command = ("openssl", "s_client", "-connect", f"127.0.0.1:{client.nginx.port(443)}", "-servername", "localhost")
    done = subprocess.run((*command, *options), input=b"", capture_output=True, check=False, timeout=20)
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize(
    ("option", "taken"), [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
def test_tls_1_2_and_1_3_and_nothing_older(client: NginxClient, option: str, taken: bool) -> None:
    output = handshake(client, option, "-cipher", "ALL:@SECLEVEL=0")
    assert bool(re.search(r"Cipher is (?!\(NONE\))\S", output)) == taken, output
    # It is the server that refuses.
    assert taken or "alert protocol version" in output


def test_no_cipher_suite_of_tls_1_2_is_outside_the_list(client: NginxClient) -> None:
    everything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    everything.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    names = [suite["name"] for suite in everything.get_ciphers() if suite["protocol"] != "TLSv1.3"]
    taken = set()
    for name in names:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{name}:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", client.nginx.port(443)), 5) as raw:
            try:
                with context.wrap_socket(raw):
                    taken.add(name)
            except (ssl.SSLError, ConnectionResetError):
                pass
    assert len(names) > 50
    assert taken == {name for name in INTERMEDIATE if "ECDSA" in name}


def test_http2_is_offered_and_http1_stays(client: NginxClient) -> None:
    assert client.request_http2("/livez").status == 200
    assert "ALPN protocol: h2" in handshake(client, "-alpn", "h2,http/1.1")
    assert "ALPN protocol: http/1.1" in handshake(client, "-alpn", "http/1.1")


def test_without_a_domain_no_response_has_hsts(client: NginxClient) -> None:
    """On localhost, or an address, that would hold for all else that answers there."""
    for response in (
        client.request("/livez"),
        client.request("/metrics"),
        client.request_http2("/x"),
        client.request("/grafana/"),
    ):
        assert "strict-transport-security" not in response.headers


@pytest.mark.parametrize("where", ["docker", "native"])
def test_with_a_domain_every_response_over_tls_has_hsts(sandbox: Sandbox, where: str) -> None:
    nginx = sandbox.start_nginx(where, TLS_DOMAIN="llm.example.org", MAX_BODY_BYTES="1024")
    client = NginxClient(nginx, sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    too_long = client.request("/v1/chat/completions", b"a" * 2000, method="POST")
    assert too_long.status == 413
    for response in (client.request("/livez"), client.request("/metrics"), client.request_http2("/x"), too_long):
        assert response.headers["strict-transport-security"] == "max-age=63072000"


def test_plain_http_has_no_hsts(docker_client: NginxClient) -> None:
    with docker_client.open_plain() as raw:
        assert b"trict-" not in raw.send(b"GET / HTTP/1.0\r\n\r\n").read_until(b"\r\n\r\n")


def test_the_internal_port_serves_only_the_status(docker_client: NginxClient) -> None:
    script = "curl -s http://127.0.0.1:8081/stub_status; curl -s -o /dev/null -w %{http_code} http://127.0.0.1:8081/x"
    done = subprocess.run(
        ("docker", "exec", docker_client.nginx.id, "sh", "-c", script), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Active connections: ")
    assert done.stdout.endswith("404")
