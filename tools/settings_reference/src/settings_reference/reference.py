"""Which settings there are, in which order, and what the stack adds to a program's own descriptions."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.settings import Settings as GatewaySettings
from glasshouse.privacy_canary.settings import Settings as CanarySettings
from glasshouse.settings import Settings as ClientSettings
from gpu_exporter.settings import Settings as GpuExporterSettings
from llamacpp_server.settings import Settings as LlamacppSettings
from settings_reference import untyped
from settings_reference.setting import Reference, Section, Setting
from settings_reference.typed import settings_of
from vllm_launcher.settings import Settings as VllmSettings

# Where the stack's default is not the program's own, or the program computes it.
_DEFAULTS = {
    "ENGINES": "llamacpp=http://127.0.0.1:8002+http://127.0.0.1:8102",
    "SECRETS_DIR": "./secrets",
    "KEYS_FILE": "secrets/gateway/keys.yaml",
    "ENGINE_KEY_FILE": "secrets/engine/engine-key",
}

# What validators of the programs' own allow.
_ALLOWED = {
    "ENGINES": "name=url or name=url+status-url, separated by commas",
    "ENGINE_PRICES": "engine=price, separated by commas",
    "CORS_ORIGINS": "scheme://host[:port], separated by commas",
}

# What the stack adds to what a program knows of its own setting.
_NOTES = {
    "ENGINES": "Unset: llama.cpp at LLAMACPP_PORT; in Docker, where services' names replace 127.0.0.1, the engine of "
    "the shape.",
    "GATEWAY_HOST": "nginx stands before it; with another address than loopback, put TLS before it.",
    "METRICS_HOST": "They name your keys and models, so keep them inside.",
    "METRICS_DIR": "Unset: a directory of this checkout's own in /dev/shm.",
    "KEYS_FILE": "The first start creates it, `make key` changes it. Unset: in SECRETS_DIR, and so always in Docker.",
    "ENGINE_KEY_FILE": "The engines accept the key in the file of this name with .next, too, for "
    "`make rotate-engine-key`. Unset: in SECRETS_DIR, and so always in Docker.",
    "PRICES_FILE": "In Docker always config/prices.yaml.",
    "TOTAL_TIMEOUT": "nginx waits 30 longer, so that the gateway reports the error.",
    "SHUTDOWN_GRACE": "Docker kills nginx and the gateway 15 seconds later, and an engine 30 seconds after its own "
    "grace.",
    "PRIVACY_CANARY": "In Docker it runs with COMPOSE_PROFILES=privacy-canary.",
    "LLAMACPP_THREADS": "Unset: as many as this machine allows.",
    "GPU_EXPORTER_HOSTNAME": "Unset: the machine's name; in Docker gpu-exporter, since a container's name changes.",
    "GPU_EXPORTER_REPLAY": 'Every series is labelled replay="true". The path is one in its container.',
    "LLAMACPP_HOST": "If it is not loopback, ENGINES has to name it.",
    "LLAMACPP_STOP_GRACE": "Unset: SHUTDOWN_GRACE.",
    "VLLM_STOP_GRACE": "In Docker set it here, not in vllm.env, since Docker has to wait longer; unset: "
    "SHUTDOWN_GRACE.",
}

# Other programs that read a setting too.
_READERS = {
    "nginx": ("HTTPS_PORT", "TLS_DOMAIN", "MAX_BODY_BYTES", "TOTAL_TIMEOUT", "SHUTDOWN_GRACE"),
    "certificate-init": ("TLS_DOMAIN", "PUBLIC_ADDRESS"),
    "certificate": ("TLS_DOMAIN", "PUBLIC_ADDRESS"),
    "acme": ("TLS_DOMAIN",),
    "init": ("PRIVACY_CANARY",),
    "compose": (
        *("HTTPS_PORT", "HTTP_PORT", "TLS_DOMAIN", "PUBLIC_ADDRESS", "SECRETS_DIR", "PROMETHEUS_RETENTION"),
        *("ENGINES", "SHUTDOWN_GRACE", "VLLM_STOP_GRACE", "LLAMACPP_STOP_GRACE", "VLLM_MODEL_FILE"),
        "GPU_EXPORTER_HOSTNAME",
    ),
    "vllm": ("ENGINE_KEY_FILE",),
    "llamacpp": ("ENGINE_KEY_FILE",),
}
_DOCKER_ONLY = ("HTTP_PORT",)


def reference() -> Reference:
    """All settings, each in the section of the program that it is for."""
    client = {setting.name: setting for setting in _of(ClientSettings, "glasshouse")}
    docker = tuple(client.pop(name) for name in _DOCKER_ONLY)
    canary = (client.pop("PRIVACY_CANARY"), *_of(CanarySettings, "privacy-canary"))
    gateway, llamacpp = _of(GatewaySettings, "api"), _of(LlamacppSettings, "llamacpp", "ENGINE_KEY_FILE")
    vllm = (*_of(VllmSettings, "vllm", "ENGINE_KEY_FILE", "VLLM_API_KEY"), untyped.VLLM_MODEL)
    sections = (
        Section("The stack: read by make and the command line", (*client.values(), *untyped.NGINX)),
        Section("Docker only: compose.yaml and compose.cpu.yaml", (*docker, *untyped.DOCKER)),
        Section("The gateway", gateway),
        Section("llama.cpp: on a laptop, and beside a GPU", (*llamacpp, untyped.LLAMACPP_SETTINGS_FILE)),
        Section("vLLM: its launcher, on a GPU or with the CPU build", vllm),
        Section("The GPU exporter", _of(GpuExporterSettings, "gpu-exporter")),
        Section("The privacy canary: whether prompts are found where none may be", canary),
    )
    return Reference(tuple(Section(section.title, _completed(section.settings)) for section in sections))


def _of(model: type[ClientSettings] | type, reader: str, *without: str) -> tuple[Setting, ...]:
    found = settings_of(model, reader, defaults=_DEFAULTS, allowed=_ALLOWED)
    return tuple(setting for setting in found if setting.name not in without)


def _completed(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """With what the stack adds: notes, and who else reads them."""
    declared = {field.validation_alias or name.upper() for name, field in ClientSettings.model_fields.items()}
    result = []
    for setting in settings:
        name = setting.name
        text = f"{setting.description} {_NOTES.get(name, '')}".rstrip()
        others = (
            *(("glasshouse",) if name in declared else ()),
            *(reader for reader, names in _READERS.items() if name in names),
        )
        readers = tuple(dict.fromkeys((*setting.readers, *others)))
        result.append(replace(setting, description=text, readers=readers))
    return tuple(result)
