"""A fake `docker` and a fake `make`, as far as an upgrade asks them; which of them it is, its name tells.

They share state.json: the containers by service, the images by name. A part of a backup is empty.tar.gz. `make up` runs
the version whose name the file VERSION in the checkout holds: it builds an image of the gateway and replaces that
container, and Prometheus' too where the name says so. A version fails whose name holds `broken-up` or `broken-smoke`.
"""

# ruff: noqa: T201 - a program prints

import json
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
API = "glasshouse/api:tag"


def docker(state: dict[str, Any], words: list[str]) -> str:  # noqa: C901, PLR0911 - a case for each question
    containers: dict[str, Any] = state["containers"]
    known = {container["Id"]: container for container in containers.values()}
    match words:
        case ["compose", *_, "config", "--format", "json"]:
            return json.dumps(state["config"])
        case ["compose", *rest] if "up" in rest:
            replace(state, "api", state["tags"][API], "again")
        case ["ps", *_]:
            return "\n".join(known)
        case ["inspect", "--type", "container", *numbers]:
            return json.dumps([known[number] for number in numbers])
        case ["inspect", "--format", "{{.Image}}", *numbers]:
            return "\n".join(known[number]["Image"] for number in numbers)
        case ["inspect", "--format", _, *numbers]:
            return "\n".join(f"{known[number]['Config']['Image']} {known[number]['Image']}" for number in numbers)
        case ["volume", "ls", *_]:
            return "\n".join(volume["name"] for volume in state["config"]["volumes"].values())
        case ["run", *_, "sh", _, _, _, _, _, _] | ["run", *_, "sh", _, _, _, _, _]:
            sys.stdin.buffer.read()
        case ["run", *_]:
            sys.stdout.buffer.write((HERE / "empty.tar.gz").read_bytes())
        case ["tag", number, name]:
            state["tags"][name] = number
        case ["image", "ls", *filters]:
            service = next(word for word in filters if ".service=" in word).partition(".service=")[2]
            return "\n".join(f"{number} {name}" for name, number in state["tags"].items() if f"/{service}:" in name)
        case ["image", "rm", *_, name]:
            state["tags"].pop(name)
    return ""


def make(state: dict[str, Any], target: str) -> int:
    version = Path("VERSION").read_text(encoding="utf-8").strip()
    if target == "up":
        state["tags"][API] = f"sha256:{version}"
        replace(state, "api", f"sha256:{version}", version)
        if "prometheus" in version:
            replace(state, "prometheus", "sha256:prometheus", version)
    return int(f"broken-{target}" in version)


def replace(state: dict[str, Any], service: str, image: str, mark: str) -> None:
    container = state["containers"][service]
    container["Id"], container["Image"] = f"{service}-{mark}", image


def main(program: str, words: list[str]) -> int:
    file = HERE / "state.json"
    state = json.loads(file.read_text())
    head = Path("VERSION").read_text(encoding="utf-8").strip() if Path("VERSION").exists() else ""
    with (HERE / "calls.jsonl").open("a") as calls:
        calls.write(
            json.dumps({"program": program, "words": words, "head": head, "makeflags": "MAKEFLAGS" in os.environ})
        )
        calls.write("\n")
    if program == "make":
        status = make(state, words[0])
    else:
        print(docker(state, words), end="")
        status = 0
    file.write_text(json.dumps(state))
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))
