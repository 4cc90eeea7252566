"""The command: `python -m observability [--check | --against JOB]`.

Without an option it writes the generated files below the current directory. `--check` lists the files that differ;
`--against JOB <scrape` lists the panels and alerts that would have no data with that scrape of a job.
"""

import argparse
import sys
from pathlib import Path

from observability import files, missing_metrics


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 1 when `--check` or `--against` finds something, else 0."""
    parser = argparse.ArgumentParser(prog="observability", description="Write grafana/ and prometheus/.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="write nothing; fail if a committed file is out of date")
    mode.add_argument(
        "--against", metavar="JOB", help="read a scrape of this job (vllm, llamacpp …); list panels left without data"
    )
    options = parser.parse_args(arguments)
    root = Path.cwd()
    if options.against:
        missing = missing_metrics.find_missing(options.against, sys.stdin.read())
        sys.stdout.write(missing_metrics.format_report(options.against, missing) + "\n" if missing else "")
        return 1 if missing else 0
    if not options.check:
        for path in files.write(root):
            sys.stderr.write(f"wrote {path}\n")
        return 0
    stale = files.stale(root)
    for path in stale:
        sys.stderr.write(f"{path} is out of date: run `make dashboards`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
