from glasshouse.drill.catalogue import FAULTS
from glasshouse.drill.outcome import FaultOutcome, Outcome, not_drilled
from glasshouse.drill.watch import Sighting

PART, ENGINE = FAULTS[:2]


def sighting(
    fired_s: float | None = None, delivered_s: float | None = None, resolved_s: float | None = None
) -> Sighting:
    return Sighting("TargetDown", "node-exporter:9100", 0, 300, None, fired_s, delivered_s, resolved_s)


COMPLETE = sighting(fired_s=150, delivered_s=160.25, resolved_s=42.04)


def test_a_drill_is_complete_if_everything_was_seen_of_what_was_put_in() -> None:
    assert Outcome([FaultOutcome(PART, [COMPLETE]), FaultOutcome(ENGINE, skipped="One engine.")], {}).is_complete
    for seen in (
        sighting(),
        sighting(fired_s=1),
        sighting(fired_s=1, delivered_s=2),
        sighting(fired_s=1, resolved_s=2),
    ):
        assert not Outcome([FaultOutcome(PART, [COMPLETE, seen])], {}).is_complete


def test_a_drill_that_skipped_everything_shows_nothing() -> None:
    assert not Outcome([FaultOutcome(ENGINE, skipped="One engine.")], {}).is_complete


def test_it_is_printed_with_what_was_not_seen() -> None:
    failed = sighting(fired_s=1)
    failed.error = "404 Not Found"
    result = Outcome(
        [FaultOutcome(PART, [COMPLETE, failed, sighting()]), FaultOutcome(ENGINE, skipped="One engine.")],
        {"GpuLost": "Its fault was not chosen."},
        ["Mine"],
    )
    assert result.text().splitlines() == [
        "FAULT      ALERT       FIRED       DELIVERED      RESOLVED  DRILLED WITH",
        "part-down  TargetDown  2 min 30 s  2 min 40 s     42.0 s    a real part",
        "part-down  TargetDown  1.0 s       404 Not Found  not seen  a real part",
        "part-down  TargetDown  not seen    not seen       -         a real part",
        "",
        "Skipped: engine-stopped. One engine.",
        "",
        "Not drilled:",
        "  GpuLost  Its fault was not chosen.",
        "",
        "Firing before the drill: Mine",
    ]
    markdown = result.markdown()
    assert "| part-down | TargetDown | 2 min 30 s | 2 min 40 s | 42.0 s | a real part |" in markdown
    assert "- engine-stopped: One engine." in markdown


def test_programs_get_seconds() -> None:
    found = Outcome([FaultOutcome(PART, [COMPLETE])], {}).json()
    assert found["complete"] is True
    assert found["faults"] == [
        {
            "name": "part-down",
            "title": "node-exporter is stopped",
            "kind": "real",
            "skipped": None,
            "alerts": [
                {
                    "alert": "TargetDown",
                    "fired_seconds": 150,
                    "delivered_seconds": 160.2,
                    "resolved_seconds": 42.0,
                    "error": None,
                }
            ],
        }
    ]


def test_every_alert_of_grafana_that_is_not_drilled_has_a_reason() -> None:
    found = not_drilled(["TargetDown", "GpuLost", "LatencyBudgetBurnSlow", "Mine"], [PART])
    assert found == {
        "GpuLost": "Its fault was not chosen.",
        "LatencyBudgetBurnSlow": "Its windows are three days and six hours.",
        "Mine": "It is not one of Glasshouse's.",
    }
