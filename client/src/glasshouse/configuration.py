"""The configuration of a native Prometheus: a template of the repository, filled in with the values of this start."""

import re
from pathlib import Path

from glasshouse.errors import SettingsError
from glasshouse.files import write_atomically
from glasshouse.settings import Settings

_PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)\}")
_PATTERN_CHARACTERS = frozenset("*?[\\")


def write(settings: Settings) -> None:
    """Writes the files below the run directory, and creates the directories that programs write into.

    Raises:
        OSError: The run directory is not writable, or a template is missing.
        SettingsError: Programs would misread the run directory's path.
    """
    if _PATTERN_CHARACTERS & set(str(settings.run_dir)):
        raise SettingsError(
            f"RUN_DIR={str(settings.run_dir)!r} is not allowed: use a path without *, ?, [ and \\, which nginx and "
            "Prometheus take for patterns: make up RUN_DIR=…"
        )
    directories = ("logs", "prometheus/data", "prometheus/rules")
    for directory in directories:
        (settings.run_dir / directory).mkdir(parents=True, exist_ok=True)
    values = _values(settings)
    for template, target in (
        ("prometheus/native.yml.template", "prometheus/prometheus.yml"),
        ("prometheus/rules/recording.yml", "prometheus/rules/recording.yml"),
    ):
        text = (settings.root / template).read_text(encoding="utf-8")
        write_atomically(settings.run_dir / target, render(text, values))


def render(template: str, values: dict[str, str]) -> str:
    """Replaces each ${NAME} of `template`.

    Raises:
        KeyError: `values` lacks a name of the template.
    """
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def url_host(host: str) -> str:
    """`host` as a client on this machine writes it in a URL; loopback, if the server listens on every address."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared with, not listened on
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _values(settings: Settings) -> dict[str, str]:
    return {
        "METRICS_ADDRESS": f'"{url_host(settings.metrics_host)}:{settings.metrics_port}"',  # [ has a meaning in YAML
        "PROMETHEUS_PORT": str(settings.prometheus_port),
        "LLAMACPP_PORT": str(settings.llamacpp_port),
        "LLAMACPP_STATUS_PORT": str(settings.llamacpp_status_port),
        "PRIVACY_CANARY_TARGETS": f'["127.0.0.1:{settings.privacy_canary_port}"]' if settings.privacy_canary else "[]",
        "ENGINE_KEY_FILE": '"' + _quoted(settings.engine_key_file) + '"',
    }


def _quoted(path: Path) -> str:
    """The path as it is written between double quotes in YAML."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
