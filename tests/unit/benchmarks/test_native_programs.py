"""How the benchmarks' programs in C are compiled."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from benchmarks import native_programs

if TYPE_CHECKING:
    from pathlib import Path

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (Debian: gcc libc6-dev)")


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(native_programs.CompilerError, match="apt-get install -y --no-install-recommends gcc libc6-dev"):
        native_programs.build(tmp_path)


@needs_compiler
def test_they_are_compiled_once_for_each_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = native_programs.build(tmp_path)
    made = first.mock_engine.stat().st_mtime_ns
    assert native_programs.build(tmp_path) == first
    assert first.mock_engine.stat().st_mtime_ns == made
    changed = tmp_path / "native"
    shutil.copytree(native_programs.SOURCE, changed)
    (changed / "network.h").write_text((changed / "network.h").read_text() + "/* changed */\n")
    monkeypatch.setattr(native_programs, "SOURCE", changed)
    assert native_programs.build(tmp_path).mock_engine != first.mock_engine


@needs_compiler
def test_a_warning_is_an_error_that_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "native"
    shutil.copytree(native_programs.SOURCE, changed)
    (changed / "heap.c").write_text((changed / "heap.c").read_text() + "static int unused;\n")
    monkeypatch.setattr(native_programs, "SOURCE", changed)
    with pytest.raises(native_programs.CompilerError, match="unused"):
        native_programs.build(tmp_path)


@needs_compiler
def test_it_can_be_built_without_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_programs, "OPENSSL", tmp_path / "ssl.h")
    assert not native_programs.build(tmp_path).tls
