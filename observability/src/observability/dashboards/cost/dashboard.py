"""Cost and keys: what does the stack cost, who causes it, and are the numbers reliable?"""

from observability import links
from observability.dashboard import Dashboard, Row
from observability.dashboards import reconciliation
from observability.dashboards.cost import engines, keys, models
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "engine", "key")


def dashboard() -> Dashboard:
    """Without prices, the panels on keys and tokens still show who uses how much.

    The gateway counts dollars by engine, by model and by key, and by no two of them: each row says which variables
    it follows.
    """
    return Dashboard(
        links.COST,
        links.TITLES[links.COST],
        "What does the stack cost, who causes it, and are the numbers reliable?",
        (
            Row("Engines: idle time included (filters: VM, engine)", 4, engines.tiles(VARIABLES)),
            Row("", 8, engines.graphs(VARIABLES)),
            Row("Models: requests (filters: VM, model)", 4, models.tiles(VARIABLES)),
            Row("", 8, models.graphs(VARIABLES)),
            Row("Keys: requests (filters: VM, key)", 4, keys.tiles(VARIABLES)),
            Row("", 9, keys.tables(VARIABLES)),
            Row("", 8, keys.usage(VARIABLES)),
            Row("", 8, keys.service(VARIABLES)),
            Row("Can the numbers be trusted?", 7, (engines.accounted_for(VARIABLES), reconciliation.drift())),
            Row("Token reconciliation", 8, reconciliation.panels()),
        ),
        VARIABLES,
    )
