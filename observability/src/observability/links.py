"""Dashboard uids and titles, and URLs that keep the reader's time range and variables."""

OVERVIEW = "glasshouse-overview"
ENGINE = "glasshouse-engine"
GATEWAY = "glasshouse-gateway"
GPU = "glasshouse-gpu"
COST = "glasshouse-cost"

TITLES = {OVERVIEW: "Overview", ENGINE: "Engine", GATEWAY: "Gateway", GPU: "GPU", COST: "Cost and keys"}


def dashboard_url(uid: str) -> str:
    """A dashboard's URL with the current time range and all variables."""
    return f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"


def filtered_url(uid: str, variable: str, kept: tuple[str, ...]) -> str:
    """A dashboard's URL with `variable` set to the clicked cell; the variables in `kept` keep their values."""
    unchanged = "".join(f"&${{{name}:queryparam}}" for name in ("datasource", *kept) if name != variable)
    return f"/d/{uid}?${{__url_time_range}}{unchanged}&var-{variable}=${{__value.raw}}"
