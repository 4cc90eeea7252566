"""Everything that the guides tell readers to type exists: make targets, settings, services, networks, gcloud flags."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.readme import SdkExample
from tests.unit.docs.pages import ROOT, Page, guides

from vllm_launcher.options import is_known

GCLOUD: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("gcloud.json").read_text(encoding="utf-8")
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# Variables of Compose, the dynamic loader and vLLM, and names of Google's quotas: not settings of this project.
_FOREIGN_NAMES = frozenset(
    {
        "COMPOSE_FILE",
        "GPUS_ALL_REGIONS",
        "LD_LIBRARY_PATH",
        "NVIDIA_L4_GPUS",
        "PREEMPTIBLE_NVIDIA_L4_GPUS",
        "VLLM_ENABLE_CUDA_COMPATIBILITY",
        "VLLM_LOGGING_LEVEL",
    }
)

every_guide = pytest.mark.parametrize("page", guides(), ids=lambda page: page.name)


def _settings() -> frozenset[str]:
    return frozenset(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))


def _make_variables() -> frozenset[str]:
    pattern = r"\$\((?:if \$\()?(?:value )?([A-Z_]+)\)|^ifn?def ([A-Z_]+)|^else ifdef ([A-Z_]+)|\$\$\{?([A-Z_]+)"
    return frozenset(filter(None, (name for found in re.findall(pattern, MAKEFILE, re.MULTILINE) for name in found)))


def _compose(part: str) -> dict[str, dict[str, Any] | None]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))[part])


@every_guide
def test_each_block_is_valid_shell(page: Page) -> None:
    for block in page.blocks("sh"):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert not done.stderr, f"{done.stderr}\n{block}"


@every_guide
def test_each_make_target_and_variable_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for command in page.commands("make"):
        named = {word.partition("=")[0] for word in command if "=" in word}
        assert {word for word in command if "=" not in word} <= targets, command
        assert named <= _make_variables() | _settings(), command


def _settings_named_in(page: Page) -> Iterator[str]:
    for text in (*page.blocks("sh"), *page.spans):
        for line in re.sub(r"export .*", "", text).splitlines():
            yield from re.findall(r"(?:^|[\s'#])([A-Z][A-Z_]{2,})=", line)
    yield from (span for span in page.spans if re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)+", span))


@every_guide
def test_each_setting_exists(page: Page) -> None:
    known = _settings() | _FOREIGN_NAMES | _make_variables()
    for name in _settings_named_in(page):
        is_option = name.startswith("VLLM_") and is_known(name.removeprefix("VLLM_").lower().replace("_", "-"))
        assert name in known or is_option, name


@every_guide
def test_each_service_exists(page: Page) -> None:
    services, subcommands = _compose("services"), {"exec", "logs", "restart", "start", "stop", "up"}
    named = {
        word.removeprefix("SERVICE=")
        for command in page.commands("make")
        for word in command
        if word.startswith("SERVICE=")
    }
    for command in page.commands("docker"):
        if command[:1] == ["compose"] and command[1:2] and command[1] in subcommands:
            words = [word for word in command[2:] if re.fullmatch(r"[a-z-]*[a-z]", word) and not word.startswith("-")]
            named |= set(words[:1] if command[1] == "exec" else words)
    assert named <= {*services, "gateway"}


def test_gcloud_accepts_each_command() -> None:
    for page in guides():
        for command in page.commands("gcloud"):
            path = next((known for known in GCLOUD if " ".join(command).startswith(known)), None)
            assert path, f"{command}: not in gcloud.json; refresh_gcloud.py writes it again"
            for flag in (word for word in command if word.startswith("--")):
                name, _, value = flag.partition("=")
                values = GCLOUD[path].get(name, GCLOUD[path].get(name.replace("--no-", "--", 1)))
                assert values is not None, f"{path} has no {name}"
                assert not values or value in values, f"{path} {name}: {values}"


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_example_for_the_sdk_can_be_pasted(readme: str) -> None:
    compile(SdkExample.of(readme).script, readme, "exec")


def test_the_mtu_override_names_each_external_network() -> None:
    [override] = Page("docs/first-start.md").blocks("yaml")
    external = {name for name, network in _compose("networks").items() if not (network or {}).get("internal")}
    assert set(yaml.safe_load(override)["networks"]) == external


def test_the_guide_gives_the_log_size_of_compose_yaml() -> None:
    options = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["x-role-anyone"]["logging"]["options"]
    kept = int(options["max-size"].removesuffix("m")) * int(options["max-file"])
    assert f"keeps {kept} MB of each" in Page("docs/first-start.md").prose
