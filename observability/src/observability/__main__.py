"""`python -m observability [--check]`: writes the generated files below the current directory, or says which differ."""

import argparse
import sys
from pathlib import Path

from observability import files


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="observability", description="Write grafana/ and prometheus/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a committed file differs")
    root = Path.cwd()
    if not parser.parse_args(arguments).check:
        for path in files.write(root):
            sys.stderr.write(f"wrote {path}\n")
        return 0
    stale = files.stale(root)
    for path in stale:
        sys.stderr.write(f"{path} is not what observability/ writes: run `make dashboards`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
