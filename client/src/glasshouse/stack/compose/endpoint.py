"""Where the stack in Docker answers: what nginx's container publishes, and whose certificate it shows."""

from collections.abc import Iterable

from glasshouse.secrets import certificate
from glasshouse.settings import Settings
from glasshouse.stack.compose.docker import Container
from glasshouse.stack.endpoint import Endpoint
from glasshouse.stack.shape import url

_HTTP, _HTTPS = 80, 443


def endpoint_of(settings: Settings, containers: Iterable[Container]) -> Endpoint:
    """The endpoint of a stack of these containers."""
    by_service = {container.service: container for container in containers}
    published = by_service["nginx"].published if "nginx" in by_service else {}
    if _HTTPS in published:
        port = published[_HTTPS]
        local = "https://localhost" if port == _HTTPS else f"https://localhost:{port}"
    else:
        local = url(settings)
    public, is_trusted = local, False
    is_readable = True
    try:
        is_own = certificate.is_managed(settings.certificate.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        is_own, is_readable = True, False
    external = local.replace("localhost", settings.public_host or "localhost")
    if settings.environment.get("TLS_DOMAIN") and not is_own:
        public, is_trusted = external, True
    if not is_readable:  # it belongs to another user: health is answered without TLS, too
        local = f"http://localhost:{published.get(_HTTP, settings.public_http_port)}"
    grafana = f"{external}/grafana/ (user admin, password in {settings.shown(settings.grafana_password_file)})"
    elsewhere = (("Outside", f"{external}/v1"),) if external != public else ()
    dashboards = (("Grafana", grafana),) if "grafana" in by_service else ()
    return Endpoint(local, settings.certificate if is_readable else None, public, is_trusted, (*elsewhere, *dashboards))
