"""Where each dashboard lives, and addresses that keep what the reader has chosen: the time and the variables."""

OVERVIEW = "glasshouse-overview"
ENGINE = "glasshouse-engine"
GATEWAY = "glasshouse-gateway"
GPU = "glasshouse-gpu"
COST = "glasshouse-cost"

TITLES = {OVERVIEW: "Overview", ENGINE: "Engine", GATEWAY: "Gateway", GPU: "GPU", COST: "Cost and keys"}


def keeping_all(uid: str) -> str:
    """The address of a dashboard, with the time and every variable of the one that the reader comes from."""
    return f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"


def choosing(uid: str, variable: str, kept: tuple[str, ...]) -> str:
    """The address of a dashboard that is narrowed down to the cell that was clicked; `kept` go along as they are."""
    along = "".join(f"&${{{name}:queryparam}}" for name in ("datasource", *kept) if name != variable)
    return f"/d/{uid}?${{__url_time_range}}{along}&var-{variable}=${{__value.raw}}"
