"""What `make` says and does on machines that differ from a developer's: the certificates, the Python, the rights."""

import functools
import http.server
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from glasshouse.secrets import certificate

ROOT = Path(__file__).resolve().parents[2]
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "UV_SYSTEM_CERTS")
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")


def _environment(**variables: str) -> dict[str, str]:
    """This one, without what it says of certificates and package indexes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "MAKE"))}
    return {name: value for name, value in kept.items() if name not in (*_TRUST, *_PROXIES)} | variables


def _in_a_namespace(script: str, *words: object) -> tuple[str, ...]:
    """A command in a mount namespace of its own, in which it may mount; skipped where even that is forbidden."""
    rights = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    inside = ("unshare", "--mount", *rights)
    if subprocess.run((*inside, "true"), check=False, capture_output=True).returncode:
        pytest.skip("this machine forbids mount namespaces")
    return (*inside, "bash", "-euc", script, "bash", *map(str, words))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An index with one package, behind a certificate that only the second value, a store, knows."""
    pages = tmp_path / "pages"
    (pages / "made-up").mkdir(parents=True)
    (pages / "made-up" / "index.html").write_text("<!DOCTYPE html><html><body></body></html>")
    pair = certificate.make()
    store = tmp_path / "certs"
    store.mkdir()
    (store / "ca-certificates.crt").write_text(pair.certificate)
    (tmp_path / "key.pem").write_text(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(store / "ca-certificates.crt", tmp_path / "key.pem")
    handler = functools.partial(_Quiet, directory=str(pages))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}/", store
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Says nothing."""


_FETCH = {
    "uv": "pip install --no-cache --no-config --target {place} --index-url {url} made-up",
    "pip": "download --isolated --retries 0 --no-cache-dir --dest {place} --index-url {url} made-up",
}


def _fetch(tool: str, command: str, url: str, store: Path | None, place: Path) -> str:
    """What `command` says when it looks for the package while `store` is the machine's (an empty one if None)."""
    mount = 'mount --bind "$1" /etc/ssl/certs' if store else "mount -t tmpfs none /etc/ssl/certs"
    rule = f"probe: ; @{command} {_FETCH[tool].format(url=url, place=place)}"
    whole = _in_a_namespace(f'{mount}; exec make --eval "$2" probe', store, rule)
    done = _run(whole, ROOT)
    return done.stdout + done.stderr


_NEEDS_STORE = pytest.mark.skipif(not Path("/etc/ssl/certs").is_dir(), reason="the certificates are elsewhere here")


@_NEEDS_STORE
@pytest.mark.parametrize(("tool", "command"), [("uv", "$(UV)"), ("pip", "$(PIP)")])
def test_a_certificate_in_the_machines_store_is_trusted(
    index: tuple[str, Path], tmp_path: Path, tool: str, command: str
) -> None:
    url, store = index
    message = _fetch(tool, command, url, store, tmp_path)
    assert ("no versions of made-up" if tool == "uv" else "No matching distribution found for made-up") in message
    assert "certificate" not in message.lower()


@_NEEDS_STORE
def test_uv_by_itself_trusts_its_own_list_only_and_so_it_does_without_a_store(
    index: tuple[str, Path], tmp_path: Path
) -> None:
    url, store = index
    assert "UnknownIssuer" in _fetch("uv", ".venv/bin/uv", url, store, tmp_path)
    assert "UnknownIssuer" in _fetch("uv", "$(UV)", url, None, tmp_path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that the first steps of `make up` read."""
    for file in (
        ROOT / "Makefile",
        ROOT / "requirements.lock",
        *ROOT.glob("*/pyproject.toml"),
        *ROOT.glob("*/*/pyproject.toml"),
    ):
        to = tmp_path / "glasshouse" / file.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "glasshouse")
    return tmp_path / "glasshouse"


_PYTHON = """#!/bin/sh
case "$*" in
    *sys.version_info*) exec {real} -c "import sys; sys.version_info = ({major}, {minor}, 0)
$2" ;;
    --version) echo "Python {major}.{minor}.0" ;;
    "-m venv"*)
        mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
        printf '#!/bin/sh\necho no wheel >&2; exit 1\n' >"$3/bin/uv" && chmod +x "$3/bin/uv" ;;
esac
"""


def _python(checkout: Path, version: str) -> str:
    """A Python that says to be of this version, in a virtual environment where uv finds no package for it."""
    major, minor = version.split(".")
    path = checkout / "a-python"
    path.write_text(_PYTHON.format(real=sys.executable, major=major, minor=minor))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("version", "sentence"),
    [("3.10", "Glasshouse needs Python 3.11 or newer"), ("3.15", "The packages are locked for Python 3.11 to 3.14")],
)
def test_a_python_that_will_not_do_is_named(checkout: Path, version: str, sentence: str) -> None:
    python = _python(checkout, version)
    done = _make(checkout, "up", f"PYTHON={python}")
    assert done.returncode != 0
    assert f"{sentence}, and {python} is Python {version}.0. Name another: make PYTHON=" in done.stderr


def test_a_failure_to_install_is_not_put_down_to_a_python_that_will_do(checkout: Path) -> None:
    done = _make(checkout, "up", f"PYTHON={_python(checkout, '3.14')}")
    assert done.returncode != 0
    assert "no wheel" in done.stderr
    assert "Name another" not in done.stderr


def test_a_checkout_that_cannot_be_written_to_is_one_sentence(checkout: Path) -> None:
    script = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; cd "$1"; exec make up'
    done = _run(_in_a_namespace(script, checkout), checkout)
    assert done.stderr.startswith(f"Glasshouse writes .venv/, .run/ and secrets/ into {checkout}, where ")
    assert done.stderr.count("\n") == 2  # the second is make's own
    assert list(checkout.glob(".*")) == []


def _make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return _run(("make", *words), checkout)


def _run(command: tuple[str, ...], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, env=_environment(), capture_output=True, text=True, check=False)
