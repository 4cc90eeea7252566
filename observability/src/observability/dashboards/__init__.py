"""The dashboards, in the order in which a reader needs them: a package each, or a module where one is enough."""

from observability.dashboard import Dashboard
from observability.dashboards.cost import dashboard as cost
from observability.dashboards.engine import dashboard as engine
from observability.dashboards.gateway import dashboard as gateway
from observability.dashboards.gpu import dashboard as gpu
from observability.dashboards.overview import dashboard as overview


def all_dashboards() -> tuple[Dashboard, ...]:
    """All dashboards."""
    return (overview.dashboard(), gateway.dashboard(), engine.dashboard(), gpu.dashboard(), cost.dashboard())
