"""HTTP probes of an engine on this machine, and of its port."""

import socket
import urllib.error
import urllib.request

from launcher.errors import EngineError

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104 -- read, not bound
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the machine's http_proxy is not for loopback


def get(host: str, port: int, path: str, *, key: str | None = None, seconds: float = 2.0) -> str | None:
    """GET a path of an engine.

    Args:
        host: the address that the engine listens on; a wildcard is reached through loopback.
        port: its TCP port.
        path: with the leading slash.
        key: sent as a bearer token.
        seconds: timeout.

    Returns:
        The body of a 200 response, None for anything else.
    """
    name = _WILDCARDS.get(host, f"[{host}]" if ":" in host else host)
    request = urllib.request.Request(f"http://{name}:{port}{path}")
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with _NO_PROXY.open(request, timeout=seconds) as response:
            return str(response.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:  # an error status, and an open connection
        error.close()
        return None
    except (OSError, ValueError):  # refused, reset, timed out
        return None


def require_free_port(host: str, port: int, variable: str) -> None:
    """Make sure that the engine can listen on its port: another server there would answer our probes.

    Raises:
        EngineError: something else listens there, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EngineError(f"{variable}={port} cannot be listened at on {host} ({error.strerror}).") from error
