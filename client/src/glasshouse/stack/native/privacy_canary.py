"""The privacy canary of the native stack: what it reads there."""

from collections.abc import Mapping

from glasshouse.configuration import url_host
from glasshouse.secrets import layout
from glasshouse.settings import Settings
from glasshouse.stack.shape import Shape


def environment(settings: Settings, shape: Shape, url: str) -> Mapping[str, str]:
    """Its variables, and whether supervisord starts it.

    Args:
        settings: where everything is.
        shape: whether nginx and Prometheus run.
        url: the public API.
    """
    written_by = (
        "gateway",
        "llamacpp",
        *(("nginx",) if shape.nginx else ()),
        *(("prometheus",) if shape.prometheus else ()),
    )
    prometheus = f"http://127.0.0.1:{settings.prometheus_port}"
    pages = {
        "gateway": f"http://{url_host(settings.metrics_host)}:{settings.metrics_port}/metrics",
        "llamacpp": f"http://127.0.0.1:{settings.llamacpp_port}/metrics",
        "llamacpp-launcher": f"http://127.0.0.1:{settings.llamacpp_status_port}/metrics",
        **({"prometheus": f"{prometheus}/metrics"} if shape.prometheus else {}),
    }
    return {
        "PRIVACY_CANARY_AUTOSTART": "true" if settings.privacy_canary else "false",
        "PRIVACY_CANARY_PORT": str(settings.privacy_canary_port),
        "PRIVACY_CANARY_URL": url,
        "PRIVACY_CANARY_CERTIFICATE": str(settings.certificate) if shape.nginx else "",
        "PRIVACY_CANARY_KEY_FILE": str(layout.privacy_canary_key_file(settings)),
        "PRIVACY_CANARY_ENGINE_KEY_FILE": str(settings.engine_key_file),
        "PRIVACY_CANARY_LOGS": ",".join(f"{name}={settings.logs / name}.log" for name in written_by),
        "PRIVACY_CANARY_PAGES": ",".join(f"{name}={address}" for name, address in pages.items()),
        "PRIVACY_CANARY_PROMETHEUS": prometheus if shape.prometheus else "",
    }
