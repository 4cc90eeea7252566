"""Whom a backup stops in Docker, and that they are started again whatever happens."""

import os
import signal

import pytest
from tests.unit.glasshouse.conftest import Repository

from glasshouse.errors import StackError
from glasshouse.signals import interrupting
from glasshouse.stack.compose.data import ComposeData


def test_who_writes_is_stopped_and_started_again_after_an_error_too(repository: Repository) -> None:
    data = ComposeData(repository.settings, "cpu")

    def copy() -> None:
        with data.quiesce("volumes/prometheus-data"):
            assert repository.did("docker") == ["stop on old"]
            raise StackError("no room")

    with pytest.raises(StackError, match="no room"):
        copy()
    assert repository.did("docker") == ["stop on old", "start on old"]
    for name in ("secrets", "secrets/engine", "volumes/grafana-data", "settings"):  # nobody writes: Grafana is not up
        with data.quiesce(name):
            pass
    assert repository.did("docker") == ["stop on old", "start on old"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_starts_them_again(repository: Repository, number: signal.Signals) -> None:
    data = ComposeData(repository.settings, "cpu")
    with pytest.raises(KeyboardInterrupt), interrupting(), data.quiesce("volumes/prometheus-data"):
        os.kill(os.getpid(), number)
    assert repository.did("docker") == ["stop on old", "start on old"]


def test_what_is_saved_is_what_composes_files_name(repository: Repository) -> None:
    data = ComposeData(repository.settings, "cpu")
    assert [each.name for each in data.components()] == [
        *("secrets", "secrets/engine", "secrets/gateway", "secrets/grafana", "secrets/hub"),
        *("secrets/privacy-canary", "secrets/tls"),
        *("volumes/prometheus-data", "volumes/grafana-data"),
    ]
    for unknown in ("volumes/other", "secrets/other", "keys", "secretsX", "volumes/model-cache"):
        assert data.component(unknown) is None
