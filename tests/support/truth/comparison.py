"""A shown number beside the true one, and whether they agree to what the panel states."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from tests.support.truth import traffic
from tests.support.truth.asking import Answer, Timing
from tests.support.truth.measures import Measure, Truth, Values

from observability import settings

Json = dict[str, Any]

# A recorded step ends up to a minute before the moment of a point, and reads samples that are up to two scrapes old.
# The long steps of long ranges are made of short ones that are recorded already, here of a sample a minute.
_LAG_S, _LONG_LAG_S = range(0, 75, 5), range(0, 1055, 5)
# The window of a gauge's recorded extreme is a little longer than its step.
_EXTREME_S = 20
# How exactly it is known how old a value is that is shown where there is none.
_OLD_STEP_S = 30
# What floats lose.
_EXACT = 1e-6
_STEP_S = settings.EVALUATION_INTERVAL_SECONDS


@dataclass(frozen=True)
class Compared:
    """What a query should show.

    Attributes:
        measure: of a window.
        window: its length: the selected "range", the "step" between points, Grafana's "rate" interval, or seconds.
        recorded: it reads recorded steps, which are exact and up to a step late, and not counters themselves.
        factor: from the measure to the shown number.
        per_second: divided by the window.
        tolerance: relative, where it is more than the resolution of the window.
        lookback: for how many seconds an old value is shown where there is none, since history written by promtool has
            no markers of staleness.
    """

    measure: Measure
    window: Literal["range", "step", "rate"] | int
    recorded: bool = False
    factor: float = 1
    per_second: bool = False
    tolerance: float = _EXACT
    lookback: int = 0

    @property
    def resolution(self) -> str:
        """In words."""
        if self.tolerance > _EXACT:
            return f"{100 * self.tolerance:g} %"
        if self.measure.kind == "quantile":
            return "the bucket"
        if self.measure.kind == "gauge":
            return "the scrape"
        return "exact, to the step" if self.recorded else "two scrapes"


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        panel: dashboard, panel, and query.
        range: selected.
        shown: by the panel, and `truth`: the latest value, the sum over a graph of rates, or the most of another graph.
        resolution: to which they must agree.
        points: compared, and `wrong` those beyond the resolution.
    """

    panel: str
    range: str
    shown: float | None
    truth: float | None
    resolution: str
    points: int
    wrong: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Shown minus true."""
        return (self.shown or 0) - (self.truth or 0)


def _seconds(window: Literal["range", "step", "rate"] | int, timing: Timing) -> int:
    """The length of a window."""
    if isinstance(window, int):
        return window
    return {"range": timing.range, "step": timing.step, "rate": timing.rate_window}[window]


class Comparison:
    """Compares the result of one query."""

    def __init__(self, truth: Truth, compared: Compared, timing: Timing) -> None:
        self._truth, self._compared, self._timing = truth, compared, timing
        self._window = _seconds(compared.window, timing)
        self._lags = [*(_LONG_LAG_S if timing.is_long else _LAG_S)]
        self._known: dict[tuple[float, float], Values] = {}

    def row(self, panel: str, range_name: str, answers: list[Answer], *, instant: bool) -> Row:
        """The line of the table, with every point judged."""
        series = {self._key(answer): dict(answer.points) for answer in answers}
        assert len(series) == len(answers), f"{panel}: several series for {list(series)}"
        end = traffic.ASKED_AT
        if instant:
            times = [float(end)]
            series = {key: dict(zip(times, points.values(), strict=False)) for key, points in series.items()}
        else:
            step = self._timing.step
            times = [float(at) for at in range((end - self._timing.range) // step * step, end + 1, step)]
        keys = set(series) | {key for at in times for key, value in self._nominal(at).items() if value}
        wrong = [text for key in sorted(keys) for at in times if (text := self._wrong(key, at, series.get(key, {})))]
        shown, truth, total_wrong = self._summary(keys, times, series)
        return Row(
            panel, range_name, shown, truth, self._compared.resolution, len(times) * len(keys),
            tuple(wrong + total_wrong),
        )  # fmt: skip

    def _key(self, answer: Answer) -> str:
        if not (by := self._compared.measure.by):
            return ""
        value = answer.labels[by]
        return str(float(value)) if by == "le" else value

    def _wrong(self, key: str, at: float, points: dict[float, float]) -> str:
        """What is wrong with a point; empty if nothing is."""
        shown, slack = points.get(at), self._slack(at)
        truths: list[float | None] = []
        for lag, values in self._candidates(at):
            truths.append(values.get(key))
            # One window that the query may have read explains most numbers; most often that of the point before.
            if self._agrees(shown, truths[-1:], slack):
                self._lags.remove(lag)
                self._lags.insert(0, lag)
                return ""
        if self._agrees(shown, truths, slack):
            return ""
        return f"{key or 'value'} at {at - traffic.ASKED_AT:+.0f} s: {shown}, truth {self._nominal(at).get(key)}"

    def _agrees(self, shown: float | None, known: list[float | None], slack: float) -> bool:
        """Whether a number is within what it may be, by the truth of one window or of several."""
        kind, compared = self._compared.measure.kind, self._compared
        if kind == "count" or (kind == "ratio" and compared.measure.by and shown in (None, 0)):
            # What did not happen is 0, or has no series.
            known = [value or 0 for value in known]
            shown = shown or 0
        if shown is None:
            return None in known
        values = [value for value in known if value is not None]
        if kind == "quantile":
            return any(low <= shown <= high for low, high in (self._bucket(value) for value in values))
        if not values:
            return False
        scale = compared.factor / (self._window if compared.per_second else 1)
        relative = compared.tolerance + (slack if kind in ("count", "ratio") else 0)
        low, high = min(values) * scale, max(values) * scale
        return low - relative * abs(low) - 1e-9 <= shown <= high + relative * abs(high) + 1e-9

    def _bucket(self, value: float) -> tuple[float, float]:
        """The bounds around a value; of the last bucket its lower bound, which is what Prometheus shows."""
        bounds = (0.0, *self._compared.measure.bounds)
        above = next((index for index, bound in enumerate(bounds) if value <= bound and index), len(bounds))
        return bounds[above - 1] * (1 - 1e-9), (bounds[above] if above < len(bounds) else bounds[-1]) * (1 + 1e-9)

    def _summary(
        self, keys: Iterable[str], times: list[float], series: dict[str, dict[float, float]]
    ) -> tuple[float | None, float | None, list[str]]:
        """What a reader takes from it, the truth, and whether a sum over a graph of rates is wrong."""
        compared, step = self._compared, self._timing.step
        values = [value for points in series.values() for value in points.values()]
        if len(times) > 1 and compared.per_second and compared.window in ("step", "rate"):
            shown = sum(values) * step / compared.factor
            spans = [(times[0] - step - lag, times[-1] - lag) for lag in self._lags]
            near = compared.tolerance
            if not compared.recorded:
                # Windows overlap by a scrape: what falls into both is in the sum twice.
                spans = [(times[0], times[-1] - self._window), (times[0] - self._window, times[-1])]
                near = self._window / step - 1 + self._slack(times[-1])
            sums = [sum(compared.measure.values(self._truth, *span).values()) for span in spans]
            truth = sum(compared.measure.values(self._truth, times[0] - step, times[-1]).values())
            fine = min(sums) * (1 - near) - 1e-9 <= shown <= max(sums) * (1 + near) + 1e-9
            return shown, truth, [] if fine else [f"sum over the graph: {shown:g}, truth {min(sums):g}..{max(sums):g}"]
        scale = compared.factor / (self._window if compared.per_second else 1)
        truths = [scale * value for at in times for key in keys if (value := self._nominal(at).get(key)) is not None]
        nothing = 0.0 if compared.measure.kind == "count" else None
        return max(values, default=nothing), max(truths, default=nothing), []

    def _nominal(self, at: float) -> Values:
        """The truth of exactly the window before a moment."""
        return self._of((at - self._window, at))

    def _candidates(self, at: float) -> Iterator[tuple[int, Values]]:
        """The truth of every window that the query may have read, and how much earlier that window ends."""
        for lag, span in self._spans(at):
            yield lag, self._of(span)

    def _of(self, span: tuple[float, float]) -> Values:
        if span not in self._known:
            self._known[span] = self._compared.measure.values(self._truth, *span)
        return self._known[span]

    def _spans(self, at: float) -> Iterator[tuple[int, tuple[float, float]]]:
        window, kind, compared = self._window, self._compared.measure.kind, self._compared
        latest, scrape = self._truth.latest_scrape(at)
        if window == 0:
            yield 0, (latest, at)
        elif compared.recorded:
            # A window of a service level includes both of its ends (until Prometheus 3): a step more.
            more = _STEP_S if isinstance(compared.window, int) else _EXTREME_S if kind == "gauge" else 0
            for longer in dict.fromkeys((0, more, *range(0, compared.lookback + 1, _OLD_STEP_S))):
                yield from ((lag, (at - window - lag - longer, at - lag)) for lag in tuple(self._lags))
        elif kind == "gauge":
            yield from ((0, (at - window + early, at)) for early in (0, scrape))
        else:
            edges = (0, scrape / 2, scrape)
            yield from ((0, (at - window + early, at - late)) for early, late in product(edges, edges))

    def _slack(self, at: float) -> float:
        """How much `rate` extrapolates at most."""
        if self._compared.recorded or not self._window:
            return 0
        unseen = 2 * self._truth.latest_scrape(at)[1]
        return unseen / (self._window - unseen) if self._window > unseen else 1
