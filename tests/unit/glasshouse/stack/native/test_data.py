import pytest

from glasshouse.errors import StackError
from glasshouse.secrets import bootstrap
from glasshouse.settings import Settings
from glasshouse.stack.native import supervisor
from glasshouse.stack.native.data import NativeData
from glasshouse.stack.native.supervisor import Program

_METRICS = "volumes/prometheus-data"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What supervisord is asked; Prometheus runs in it."""
    asked: list[str] = []
    monkeypatch.setattr(supervisor, "programs", lambda _: (Program("prometheus", "RUNNING", 7, 1, 0, ""),))
    monkeypatch.setattr(supervisor, "stop_program", lambda _, name: asked.append(f"stop {name}"))
    monkeypatch.setattr(supervisor, "start_program", lambda _, name: asked.append(f"start {name}"))
    return asked


def test_what_is_there_is_saved(settings: Settings) -> None:
    data = NativeData(settings, lambda: False)
    assert not data.has_data
    assert data.components() == ()
    bootstrap.create_missing(settings)
    (settings.run_dir / "prometheus" / "data" / "01BLOCK").mkdir(parents=True)
    assert data.has_data
    names = [component.name for component in data.components()]
    assert names[0] == "secrets"
    assert names[-1] == _METRICS
    assert data.may_exist("secrets/engine")
    assert not data.may_exist("secrets/hub")
    assert data.component("volumes/grafana-data") is None


def test_prometheus_stops_while_it_is_copied_and_starts_again_after_an_error(
    settings: Settings, asked: list[str]
) -> None:
    def copy() -> None:
        with NativeData(settings, lambda: True).quiesce(_METRICS):
            assert asked == ["stop prometheus"]
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the one above
        copy()
    assert asked == ["stop prometheus", "start prometheus"]


def test_nothing_stops_for_what_it_does_not_write_to(settings: Settings, asked: list[str]) -> None:
    with NativeData(settings, lambda: True).quiesce("secrets"), NativeData(settings, lambda: False).quiesce(_METRICS):
        pass
    assert asked == []


def test_without_its_supervisor_nothing_can_be_stopped(settings: Settings) -> None:
    with (
        pytest.raises(StackError, match="supervisord has been killed"),
        NativeData(settings, lambda: True).quiesce(_METRICS),
    ):
        pass
