"""The files that are written from the reference."""

import textwrap
from pathlib import Path

import pytest
import yaml

from settings_reference import __main__ as program
from settings_reference import compose_file, env_example, markdown
from settings_reference.setting import Reference, Section, Setting

KNOWN = Reference((
    Section("One", (Setting("A", "1", "What `a` is: x | y.", "1 or 2", ("api", "nginx")),)),
    Section("Two", (Setting("B", "", "What b is. " + "word " * 30 + "end.", "text", ("api",)),)),
))  # fmt: skip


def test_the_repositorys_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_file_is_named_by_a_check_and_written_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "compose.yaml").write_text("name: x\n\nservices:\n  a:\n    image: i\n")
    monkeypatch.setattr(program, "ROOT", tmp_path)
    assert program.main(["--check"]) == 1
    assert "docs/settings.md differs from the typed settings: make settings" in capsys.readouterr().err
    assert not (tmp_path / ".env.example").exists()
    assert program.main([]) == 0
    assert program.main(["--check"]) == 0


def test_the_example_has_each_setting_as_a_comment_below_its_description() -> None:
    text = env_example.render(KNOWN)
    assert "\n# ---- One\n\n# What a is: x | y.\n#A=1\n" in text
    assert text.endswith("end.\n#B=\n")
    assert max(map(len, text.splitlines())) <= 120


def test_the_page_is_a_table_for_each_section() -> None:
    text = markdown.render(KNOWN)
    assert "| `A` | `1` | What `a` is: x \\| y. | 1 or 2 | api, nginx |\n" in text
    assert "## Two\n\n| name | default |" in text


def test_a_services_list_holds_what_it_reads_and_does_not_get_by_hand() -> None:
    text = textwrap.dedent("""\
        name: x

        services:
          api:
            environment:
              A: by hand # stays
              # >>> make settings
              OLD:
              # <<<
          nginx:
            environment:
              # >>> make settings
              # <<<
        """)
    rendered = compose_file.render(KNOWN, text)
    assert yaml.safe_load(rendered)["services"] == {
        "api": {"environment": {"A": "by hand", "B": None}},
        "nginx": {"environment": {"A": None}},
    }
    assert "A: by hand # stays\n" in rendered
    assert compose_file.render(KNOWN, rendered) == rendered
