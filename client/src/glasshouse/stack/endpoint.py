"""Where a running stack answers, and what a person is told about it."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from glasshouse.api import Api
from glasshouse.errors import ApiError
from glasshouse.screen import table
from glasshouse.settings import Settings


@dataclass(frozen=True, slots=True)
class Front:
    """The entrance of a stack.

    Attributes:
        url: the API as this machine reaches it, without /v1.
        certificate: what it shows; None where it has none, or one that the system trusts.
        public_url: the API as clients write it.
        is_trusted: whether clients trust its certificate without being told to, or need none.
        watched: where its figures are: titles and addresses.
    """

    url: str
    certificate: Path | None
    public_url: str
    is_trusted: bool
    watched: tuple[tuple[str, str], ...] = ()


def model(settings: Settings, front: Front) -> str | None:
    """The first model that the API lists; None when it does not answer, or the key cannot be read."""
    try:
        key = settings.api_key_file.read_text(encoding="utf-8").strip()
        with Api(front.url, certificate=front.certificate, key=key) as api:
            return api.first_model()
    except (ApiError, OSError, UnicodeDecodeError):
        return None


def print_closing(settings: Settings, front: Front, first_model: str | None) -> None:
    """Says where everything is, and a request that can be pasted."""
    key_file = settings.shown(settings.api_key_file)
    sudo = "" if os.access(settings.secrets_dir, os.R_OK | os.X_OK) else "sudo "
    trust = "" if front.is_trusted else f"--cacert {shlex.quote(settings.shown(settings.certificate))} "
    question = (
        f'{{"model": "{first_model or "glasshouse-demo"}", "messages": '
        '[{"role": "user", "content": "What is Glasshouse?"}]}'
    )
    rows = [
        ("API", f"{front.public_url}/v1"),
        ("Model", first_model or ("not asked: the key is not yours to read" if sudo else "none yet")),
        ("Key", f"in {key_file}"),
        *front.watched,
    ]
    print(f"""
{table(rows)}

Ask it something:

  {sudo}curl -s {trust}{front.public_url}/v1/chat/completions \\
    -H "Authorization: Bearer $({sudo}cat {shlex.quote(key_file)})" -H "Content-Type: application/json" \\
    -d '{question}'

For the OpenAI SDK (README.md has an example):

  export OPENAI_BASE_URL={front.public_url}/v1 OPENAI_API_KEY="$({sudo}cat {shlex.quote(key_file)})"

  make smoke  a streamed and a plain chat, measured    make logs  what happens    make down  ends everything""")
