"""The workspace of a run, and targets that cannot be started."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import native_programs, targets
from benchmarks.load import Endpoint, Load
from benchmarks.targets import nginx, peers, target
from tests.support.program import free_port

PROGRAMS = native_programs.NativePrograms(Path("/nothing"), Path("/nothing"), tls=False)


def _workspace(tmp_path: Path, first_port: int = 18_200) -> targets.Workspace:
    return targets.Workspace(tmp_path, first_port, PROGRAMS)


def test_ports_are_free_and_each_is_used_once(tmp_path: Path) -> None:
    first = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        workspace = _workspace(tmp_path, first)
        assert len({workspace.port(), workspace.port(), first}) == 3


def test_a_run_without_a_free_port_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "PORTS", 0)
    with pytest.raises(targets.UnavailableError, match="no free port from 18200"):
        _workspace(tmp_path).port()


def test_a_target_that_is_not_installed_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nginx, "NGINX", tmp_path / "nginx")
    running, took, missing = targets.start(_workspace(tmp_path), ["nginx", "nginx-tls"], starts=2)
    assert (running, took) == ([], {})
    assert missing["nginx"] == "nginx is not installed (Debian: apt-get install nginx-light)"
    assert "libssl-dev" in missing["nginx-tls"]
    assert "nginx-tls is left out: " in capsys.readouterr().err


def test_a_target_that_ends_is_left_out_with_what_it_said(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such option')"]
    with pytest.raises(targets.UnavailableError, match="ended with 1:\nno such option"):
        target.launch(_workspace(tmp_path), "broken", command, Endpoint(free_port()))


def test_a_target_is_ready_when_it_answers_a_chat(tmp_path: Path, programs: native_programs.NativePrograms) -> None:
    workspace = replace(_workspace(tmp_path, free_port()), programs=programs)
    engine = targets.Engine.start(workspace)
    try:
        assert 0 < engine.target.started_s < 20
        assert target.answers(engine.target.endpoint)
        assert not target.answers(replace(engine.target.endpoint, model="other"))
        engine.pace(Load(1, tokens=3))
        assert engine.counters()["requests"] == 0  # what asks whether it is ready is a probe
        with pytest.raises(RuntimeError, match="refused"):
            engine.pace(Load(1, tokens=-3))
    finally:
        targets.stop([engine.target])


def test_every_peer_is_locked_with_hashes_and_its_version_is_known() -> None:
    for name in ("vllm-router", "smg", "sglang-router", "tensorzero", "litellm"):
        lock = (peers.LOCKS / f"{name}.lock").read_text()
        assert peers.version(name)[0].isdigit()
        assert f"{name}=={peers.version(name)}" in lock.replace("[proxy]", "")
        assert lock.count("==") <= lock.count("--hash=sha256:")


def test_a_peer_that_is_installed_as_locked_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(peers, "LOCKS", tmp_path)
    (tmp_path / "peer").mkdir()
    for place in (tmp_path / "peer.lock", tmp_path / "peer" / "installed.lock"):
        place.write_text("peer==1.0 --hash=sha256:00\n")
    assert peers.install("peer") == tmp_path / "peer" / "bin"


def test_a_peer_that_cannot_be_installed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path / "environments")
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    monkeypatch.setattr(peers, "LOCKS", tmp_path)
    monkeypatch.setenv("UV_OFFLINE", "1")
    (tmp_path / "peer.lock").write_text(f"made-up-peer==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(targets.UnavailableError, match=r"(?s)cannot be installed: .*made-up-peer"):
        peers.install("peer")
