"""The workspace of a run, and targets that cannot be started."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from benchmarks import targets
from tests.support.program import free_port

if TYPE_CHECKING:
    from pathlib import Path


def test_ports_are_free_and_each_is_used_once(tmp_path: Path) -> None:
    first = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        workspace = targets.Workspace(tmp_path, first)
        assert len({workspace.port(), workspace.port(), first}) == 3


def test_a_run_without_a_free_port_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "PORTS", 0)
    with pytest.raises(targets.UnavailableError, match="no free port from 18200"):
        targets.Workspace(tmp_path, 18_200).port()


def test_a_target_that_is_not_installed_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "NGINX", tmp_path / "nginx")
    monkeypatch.setattr(targets, "ROOT", tmp_path)
    monkeypatch.setattr(targets, "start_mock", lambda _: None)
    running, missing = targets.start(targets.Workspace(tmp_path, free_port()), ["nginx", "gateway"], [1, 2])
    assert running == [None]
    assert "not installed" in missing["nginx"]
    assert set(missing) == {"nginx", "gateway-1", "gateway-2"}
