"""A container's health check: `python -m launcher.healthcheck STATUS_PORT` exits with 0 while its engine is ready.

`docker inspect` shows what it prints: the phase of the start, or why it failed.
"""

import json
import sys

from launcher import probe


def check(port: int) -> str | None:
    """Ask the launcher on this machine; None when its engine is ready, else one sentence.

    Args:
        port: the launcher's status port.
    """
    body = probe.get("127.0.0.1", port, "/status")
    if body is None:
        return f"The launcher does not answer on port {port}."
    status = json.loads(body)
    if status["state"] == "ready":
        return None
    return f"The engine is {status['state']} ({status['phase']}). {status['reason']}".rstrip()


def main() -> int:
    """Check, and print what is wrong."""
    problem = check(int(sys.argv[1]))
    if problem is not None:
        print(problem)  # noqa: T201 -- Docker keeps what a health check prints
    return int(problem is not None)


if __name__ == "__main__":
    sys.exit(main())
