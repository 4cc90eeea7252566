"""A fake `docker`: answers from plan.json beside it, and keeps what it was asked in calls.jsonl.

It is installed on the PATH by the fixture of the same name. What it is asked of Compose changes its containers as the
real one would: `up` brings those of the plan, `stop` ends them, `down` removes them.
"""

# ruff: noqa: T201 - a program prints

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VERBS = ("pull", "build", "up", "stop", "restart", "rm", "kill", "down", "logs", "version")


def main(words: list[str]) -> int:
    plan = json.loads((HERE / "plan.json").read_text())
    kept = ("SECRETS_DIR", "GLASSHOUSE_UID", "GLASSHOUSE_GID", "LLAMACPP_MODEL", "EMPTY", "COMPOSE_FILE")
    with (HERE / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps({"words": words, "env": {name: os.environ.get(name) for name in kept}}) + "\n")
    if words[0] == "compose":
        return compose(plan, words)
    if plan["daemon_says"]:
        print(plan["daemon_says"], file=sys.stderr)
        return 1
    if words[0] in {"image", "network"}:
        known = plan[f"{words[0]}s"]
        print(known.get(words[-1], ""))
        return 0 if words[-1] in known else 1
    print(answer(plan, words))
    return 0 if words[0] != "buildx" or plan["buildx"] else 1


def answer(plan: dict[str, Any], words: list[str]) -> str:
    """What it says of itself and of its containers."""
    info = plan["data_root"] if "DockerRootDir" in words[-1] else json.dumps(plan["runtimes"])
    message = {
        "version": plan["version"],
        "info": info,
        "buildx": plan["buildx"],
        "ps": "\n".join(container["Id"] for container in plan["containers"]),
        "inspect": json.dumps([container for container in plan["containers"] if container["Id"] in words]),
        "logs": "\n".join(plan["logs"].get(words[-1], [])),
    }
    return str(message[words[0]])


def compose(plan: dict[str, Any], words: list[str]) -> int:
    verb = next(word for word in words if word in VERBS)
    if verb == "version":
        print(plan["compose"])
        return 0 if plan["compose"] else 1
    if verb == plan["hangs"]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(130))
        (HERE / "hanging").touch()
        time.sleep(60)
    status: int = plan["statuses"].get(verb, 0)
    if verb == "up":
        plan["containers"] = plan["after_up"]
    elif verb in {"stop", "kill"}:
        for container in plan["containers"]:
            container["State"]["Status"] = "exited"
    elif verb == "down":
        plan["containers"] = []
    (HERE / "plan.json").write_text(json.dumps(plan))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
