"""`python -m observability [--check]`: writes the generated files below the current directory, or says which differ.

`python -m observability --against JOB <scrape`: says which panels and alerts that scrape of a job would leave blind.
"""

import argparse
import sys
from pathlib import Path

from observability import breakage, files


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 when `--check` or `--against` finds something."""
    parser = argparse.ArgumentParser(prog="observability", description="Write grafana/ and prometheus/.")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--check", action="store_true", help="write nothing; fail when a committed file differs")
    asked.add_argument(
        "--against", metavar="JOB", help="read a scrape of this job (vllm, llamacpp …); name the panels it would blind"
    )
    chosen = parser.parse_args(arguments)
    root = Path.cwd()
    if chosen.against:
        lost = breakage.broken(chosen.against, sys.stdin.read())
        sys.stdout.write(breakage.told(chosen.against, lost) + "\n" if lost else "")
        return 1 if lost else 0
    if not chosen.check:
        for path in files.write(root):
            sys.stderr.write(f"wrote {path}\n")
        return 0
    stale = files.stale(root)
    for path in stale:
        sys.stderr.write(f"{path} is not what observability/ writes: run `make dashboards`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
