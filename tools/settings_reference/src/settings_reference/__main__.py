"""`python -m settings_reference` writes the files; with `--check` it only says whether they are current."""

import sys
from pathlib import Path

from settings_reference import compose_file, env_example, markdown
from settings_reference.reference import reference
from settings_reference.setting import Reference

ROOT = Path(__file__).resolve().parents[4]


def outputs(known: Reference, root: Path) -> dict[Path, str]:
    """Each generated file and what it has to hold."""
    compose = root / "compose.yaml"
    return {
        root / ".env.example": env_example.render(known),
        root / "docs" / "settings.md": markdown.render(known),
        compose: compose_file.render(known, compose.read_text(encoding="utf-8")),
    }


def main(arguments: list[str]) -> int:
    """Writes or checks the files; returns the exit code."""
    stale = {
        path: text
        for path, text in outputs(reference(), ROOT).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    if arguments == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} differs from the typed settings: make settings", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
        print(f"Wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
