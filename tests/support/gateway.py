"""A gateway under test as in production: gunicorn, its configuration file, and the environment."""

import hashlib
import json
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import yaml
from tests.support.in_process.small_disk import on_small_disk
from tests.support.program import HOST, PYTHON, Program, free_port, until
from tests.support.samples import Samples

COMMAND = (
    str(PYTHON), "-m", "gunicorn", "-c", "services/api/gunicorn.conf.py", "gateway.app:create_app()",
)  # fmt: skip
_START_S = 60.0


def new_key() -> str:
    """A new, random API key."""
    return f"gh-{secrets.token_urlsafe(32)}"


def write_keys(
    path: Path,
    keys: Mapping[str, str],
    *,
    revoked: frozenset[str] = frozenset(),
    fields: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Writes a keys file; `keys` maps names to keys, `fields` names to further fields of an entry."""
    entries = [
        {
            "name": name,
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "revoked": name in revoked,
            **fields.get(name, {}),
        }
        for name, key in keys.items()
    ]
    path.write_text(yaml.safe_dump({"keys": entries}), encoding="utf-8")


@dataclass
class GatewayPorts:
    """The ports of a running gateway, whatever has started it: its API and its metrics."""

    port: int
    metrics_port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def is_live(self) -> bool:
        """Whether a worker responds."""
        try:
            return httpx.get(f"{self.url}/livez", trust_env=False, timeout=5).is_success
        except httpx.TransportError:
            return False

    def exposition(self) -> str:
        response = httpx.get(f"http://{HOST}:{self.metrics_port}/metrics", trust_env=False, timeout=10)
        response.raise_for_status()
        return response.text

    def scrape(self) -> Samples:
        return Samples.parse(self.exposition())


@dataclass
class Gateway(GatewayPorts):
    """A running gateway with an API key and an engine."""

    program: Program
    key: str
    keys_file: Path
    metrics_dir: Path
    workers: int

    @property
    def http(self) -> httpx.Client:
        """A client with a valid key; close it (`with`)."""
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def scrape_when_idle(self) -> Samples:
        """A scrape once every relayed request is counted: a client has its response a moment earlier."""
        until(lambda: self.scrape().total("gateway_inflight_requests") == 0, 10, "nothing is in flight")
        return self.scrape()

    def tokens(self, model: str) -> Counter[str]:
        """Tokens of a model by type, once nothing is in flight; subtract an earlier reading."""
        counted = self.scrape_when_idle().by("gateway_tokens_total", "model", "type")
        return Counter({kind: int(tokens) for (of, kind), tokens in counted.items() if of == model})

    def lines(self, **fields: Any) -> list[dict[str, Any]]:
        """The lines of its log with these fields. Every line must be JSON; an incomplete last line is left out."""
        whole, _, _ = self.program.text().rpartition("\n")
        found: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines() if line]
        return [line for line in found if fields.items() <= line.items()]

    def is_up(self) -> bool:
        """Whether all workers are up and respond."""
        try:
            return self.scrape().total("gateway_worker_up") == self.workers and self.is_live()
        except httpx.TransportError:
            return False

    def is_ready(self) -> bool:
        """Whether an engine has recently generated a token for it."""
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self.program.stop()
        shutil.rmtree(self.metrics_dir, ignore_errors=True)


def environment(directory: Path, engines: str, **settings: str) -> dict[str, str]:
    """The environment of a gateway, with free ports and directories of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINES": engines,
        "GATEWAY_PORT": str(free_port()),
        "METRICS_PORT": str(free_port()),
        "METRICS_DIR": settings.get("METRICS_DIR") or tempfile.mkdtemp(prefix="glasshouse-test-", dir="/dev/shm"),
        "KEYS_FILE": str(directory / "keys.yaml"),
        **settings,
    }


def start_gateway(
    directory: Path,
    engines: str,
    *,
    workers: int = 1,
    ready: bool = True,
    disk: tuple[str, str] | None = None,
    keys: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    **settings: str,
) -> Gateway:
    """Starts a gateway, and waits until it is up.

    Args:
        directory: For its log and keys file.
        engines: As in `ENGINES`.
        workers: How many.
        ready: Whether to wait for a ready engine too.
        disk: A directory, or a setting that names one, and the options of a tmpfs to mount there, which only it sees.
        keys: The names of further keys, each equal to its name, with further fields of their entries.
        settings: Further variables.
    """
    variables = environment(directory, engines, WORKERS=str(workers), **settings)
    key = new_key()
    fields = {"tester": {"role": "admin"}, **keys}  # an admin sees why an engine is not ready
    write_keys(Path(variables["KEYS_FILE"]), {"tester": key, **{name: name for name in keys}}, fields=fields)
    gateway = Gateway(
        program=Program("gateway", (*_disk(disk, variables), *COMMAND), variables, directory),
        port=int(variables["GATEWAY_PORT"]),
        metrics_port=int(variables["METRICS_PORT"]),
        key=key,
        keys_file=Path(variables["KEYS_FILE"]),
        metrics_dir=Path(variables["METRICS_DIR"]),
        workers=workers,
    )
    try:
        gateway.program.ready(lambda: gateway.is_up() and (not ready or gateway.is_ready()), _START_S)
    except Exception:
        gateway.stop()
        raise
    return gateway


def _disk(disk: tuple[str, str] | None, variables: Mapping[str, str]) -> tuple[str, ...]:
    return () if disk is None else on_small_disk(Path(variables.get(disk[0], disk[0])), disk[1])


def refusal(text: str) -> str | None:
    """The one sentence with which a gateway refuses to start; None where the log has more, or a traceback."""
    lines = text.strip().splitlines()
    sentences = [line for line in lines if not line.startswith('{"ts":')]
    errors = [line for line in lines if line.startswith("{") and json.loads(line)["level"] in {"error", "critical"}]
    return sentences[0] if len(sentences) == 1 and not errors else None
