"""Where a running stack answers, and what a start prints about it."""

import http
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from glasshouse.api import Api
from glasshouse.console import table
from glasshouse.errors import ApiError
from glasshouse.settings import Settings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a stack.

    Attributes:
        url: the API as this machine reaches it, without /v1.
        certificate: the one to trust; None where it speaks plain HTTP, or shows one that the system trusts.
        public_url: the API as clients reach it.
        is_trusted: whether clients trust its certificate as they are, or need none.
        dashboards: where its metrics are shown: titles and addresses.
    """

    url: str
    certificate: Path | None
    public_url: str
    is_trusted: bool
    dashboards: tuple[tuple[str, str], ...] = ()


def first_model(settings: Settings, endpoint: Endpoint) -> str | None:
    """The first model that the API lists; None when it does not answer, or the key cannot be read."""
    try:
        key = settings.api_key_file.read_text(encoding="utf-8").strip()
        with Api(endpoint.url, certificate=endpoint.certificate, key=key) as api:
            return api.first_model()
    except (ApiError, OSError, UnicodeDecodeError):
        return None


def why_not_ready(name: str, url: str, certificate: Path | None) -> str | None:
    """What is being waited for, such as `nginx to listen`; None when /readyz answers 200.

    Without TLS /healthz is asked instead, which nginx does not redirect to HTTPS.
    """
    try:
        with Api(url, certificate=certificate) as api:
            answer = api.get("/readyz" if certificate else "/healthz")
    except ApiError:
        return f"{name} to listen"
    if answer.status == http.HTTPStatus.OK:
        return None
    return f"{name}: {answer.reason or f'it answers {answer.status}'}"


def print_endpoint(settings: Settings, endpoint: Endpoint, model: str | None) -> None:
    """Prints the addresses, and a request to paste."""
    key_file = settings.shown(settings.api_key_file)
    sudo = "" if os.access(settings.secrets_dir, os.R_OK | os.X_OK) else "sudo "
    trust = "" if endpoint.is_trusted else f"--cacert {shlex.quote(settings.shown(settings.certificate))} "
    messages = '[{"role": "user", "content": "What is Glasshouse?"}]'
    question = f'{{"model": "{model or "glasshouse-demo"}", "messages": {messages}}}'
    rows = [
        ("API", f"{endpoint.public_url}/v1"),
        ("Model", model or ("not asked: the key is not yours to read" if sudo else "none yet")),
        ("Key", f"in {key_file}"),
        *endpoint.dashboards,
    ]
    print(f"""
{table(rows)}

Ask it something:

  {sudo}curl -s {trust}{endpoint.public_url}/v1/chat/completions \\
    -H "Authorization: Bearer $({sudo}cat {shlex.quote(key_file)})" -H "Content-Type: application/json" \\
    -d '{question}'

For the OpenAI SDK (README.md has an example):

  export OPENAI_BASE_URL={endpoint.public_url}/v1 OPENAI_API_KEY="$({sudo}cat {shlex.quote(key_file)})"

  make smoke  a streamed and a plain chat, measured    make logs  what happens    make down  ends everything""")
