"""Glasshouse's gateway, as in production: gunicorn, its own configuration, everything enabled."""

from __future__ import annotations

import hashlib
import sys

from benchmarks import child
from benchmarks.load import Endpoint
from benchmarks.targets.target import Target, Workspace, launch

CONFIGURATION = "services/api/gunicorn.conf.py"


def start_gateway(workspace: Workspace, workers: int) -> Target:
    """Start a gateway with this many workers.

    Raises:
        UnavailableError: it does not start.
    """
    name = f"gateway-{workers}"
    port, metrics_port = workspace.port(), workspace.port()
    digest = hashlib.sha256(workspace.key.encode()).hexdigest()
    keys = workspace.directory / f"{name}-keys.yaml"
    keys.touch(mode=0o600)
    keys.write_text(f"keys:\n  - name: bench\n    sha256: {digest}\n    role: user\n", encoding="utf-8")
    metrics = workspace.directory / f"{name}-metrics"
    metrics.mkdir(mode=0o700, exist_ok=True)
    settings = {
        "ENGINES": f"mock={workspace.engine_url}",
        "KEYS_FILE": str(keys),
        "GATEWAY_HOST": child.HOST,
        "GATEWAY_PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "METRICS_DIR": str(metrics),
        "WORKERS": str(workers),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", CONFIGURATION, "gateway.app:create_app()"]
    return launch(workspace, name, command, Endpoint(port, workspace.key), settings, metrics_port=metrics_port)
