"""The numbers on top of a dashboard."""

from observability.panel import Needs, Panel, Query, Thresholds

WIDTH = 4


def tile(
    title: str,
    question: str,
    blind_spot: str,
    unit: str,
    expr: str,
    thresholds: Thresholds | None = None,
    *,
    nothing: str = "No traffic",
    words: tuple[tuple[int, str, str], ...] = (),
    maximum: float | None = None,
    minimum: float | None = 0,
    decimals: int | None = None,
    then: str = "",
    opens: str = "",
    needs: Needs = "",
    width: int = WIDTH,
) -> Panel:
    """One number, coloured where it is judged."""
    return Panel(
        kind="stat",
        title=title,
        question=question,
        blind_spot=blind_spot,
        unit=unit,
        width=width,
        queries=(Query(expr, title),),
        nothing=nothing,
        thresholds=thresholds or Thresholds(),
        words=words,
        maximum=maximum,
        minimum=minimum,
        decimals=decimals,
        then=then,
        opens=opens,
        needs=needs,
    )
