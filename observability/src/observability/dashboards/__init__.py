"""The dashboards, one module each, in the order in which a reader needs them."""

from observability.dashboard import Dashboard
from observability.dashboards import cost, engine, gateway, gpu, overview


def every() -> tuple[Dashboard, ...]:
    """All dashboards."""
    return (overview.dashboard(), gateway.dashboard(), engine.dashboard(), gpu.dashboard(), cost.dashboard())
