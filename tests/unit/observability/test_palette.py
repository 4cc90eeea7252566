"""Series that one graph shows can be told apart: their colours differ in hue, or one is grey."""

import colorsys
import itertools

import pytest
from tests.support.generated_files import dashboard_files, panels

# Grafana's named colours, as its dark theme draws them.
NAMED = {"green": "#73BF69", "orange": "#FF9830", "red": "#F2495C", "blue": "#5794F2"}
_MIN_HUE_DEGREES = 12
_GREY_SATURATION = 0.1


def hue_degrees(colour: str) -> float | None:
    """The hue of a colour; None for a grey."""
    digits = NAMED.get(colour, colour).removeprefix("#")
    hue, _, saturation = colorsys.rgb_to_hls(*(int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)))
    return None if saturation < _GREY_SATURATION else hue * 360


@pytest.mark.parametrize("uid", ["glasshouse-overview", "glasshouse-gateway"])
def test_the_fixed_colours_of_a_graph_differ_in_hue(uid: str) -> None:
    (dashboard,) = (found for found in dashboard_files() if found["uid"] == uid)
    for panel in panels(dashboard):
        if panel["type"] != "timeseries":
            continue
        colours = {
            part["value"]["fixedColor"]
            for override in panel["fieldConfig"]["overrides"]
            for part in override["properties"]
            if part["id"] == "color"
        }
        for first, second in itertools.combinations(sorted(colours), 2):
            apart = _degrees_apart(hue_degrees(first), hue_degrees(second))
            assert apart >= _MIN_HUE_DEGREES, f"{panel['title']}: {first} and {second} are {apart:.0f} degrees apart"


def _degrees_apart(first: float | None, second: float | None) -> float:
    if first is None or second is None:
        return 360 if first != second else 0
    difference = abs(first - second)
    return min(difference, 360 - difference)


def test_hues_are_measured_on_the_colour_circle() -> None:
    assert hue_degrees("#FF0000") == 0
    assert hue_degrees("#00FF00") == 120
    assert hue_degrees("#8e8e8e") is None
    assert _degrees_apart(350, 10) == 20
