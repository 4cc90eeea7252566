"""GitHub's files parse, workflows call make targets that exist, and actions are pinned by commit."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
OTHERS = [ROOT / ".github" / "dependabot.yml", ROOT / ".pre-commit-config.yaml"]
# Actions that are pinned by tag, and why: none. `tag` → reason.
PINNED_BY_TAG: dict[str, str] = {}


def load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict), path
    return content


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job.get("steps", [])


def uses(path: Path) -> Iterator[str]:
    yield from (job["uses"] for job in jobs(path).values() if "uses" in job)
    yield from (step["uses"] for step in steps(path) if "uses" in step)


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return {target for line in re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE) for target in line.split()}


def called_targets(text: str) -> set[str]:
    return set(re.findall(r"(?:^|[;&|]\s*)make ([a-z][a-z-]*)", text, re.MULTILINE))


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yaml", "release.yaml"]


@pytest.mark.parametrize("path", [*WORKFLOWS, *FORMS, *OTHERS], ids=lambda path: path.name)
def test_it_parses(path: Path) -> None:
    assert load(path)


@pytest.mark.parametrize("path", [path for path in FORMS if path.name != "config.yml"], ids=lambda path: path.name)
def test_a_form_has_what_github_requires(path: Path) -> None:
    form = load(path)
    assert form["name"]
    assert form["description"]
    assert any(part["type"] != "markdown" for part in form["body"])


def test_ci_makes_what_a_developer_makes() -> None:
    called = set().union(*(called_targets(step.get("run", "")) for step in steps(WORKFLOWS[0])))
    assert called == {"check", "test"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_make_target_exists(path: Path) -> None:
    called = set().union(*(called_targets(step.get("run", "")) for step in steps(path)))
    assert called <= targets()


def test_hooks_call_what_make_check_calls() -> None:
    entries = [hook["entry"] for repository in load(OTHERS[1])["repos"] for hook in repository["hooks"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for entry in entries:
        assert called_targets(entry) <= targets()
        assert entry.startswith("make ") or " ".join(entry.split()[:2]) in makefile, entry


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_with_its_tag_beside_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for reference in uses(path):
        if reference.startswith("./"):
            assert (ROOT / reference).is_file(), reference
        elif reference not in PINNED_BY_TAG:
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", reference), reference
            assert re.search(rf"{re.escape(reference)} # v\d+\.\d+\.\d+$", text, re.MULTILINE), reference


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_has_only_the_permissions_that_it_names(path: Path) -> None:
    assert load(path)["permissions"] == {}
    for name, job in jobs(path).items():
        assert job["permissions"], name
        assert set(job["permissions"].values()) <= {"read", "write"}, name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_credentials_stay_in_a_checkout(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_expression_is_pasted_into_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step


def test_the_release_builds_every_image_of_ours() -> None:
    compose = load(ROOT / "compose.yaml")
    services = compose["services"].values()
    built = {service["build"]["dockerfile"] for service in services if "dockerfile" in service.get("build", {})}
    matrix = jobs(WORKFLOWS[1])["image"]["strategy"]["matrix"]["include"]
    assert {each["dockerfile"] for each in matrix} == built


@pytest.mark.parametrize("update", load(OTHERS[0])["updates"], ids=lambda update: update["package-ecosystem"])
def test_dependencies_are_looked_for_where_they_are(update: dict[str, Any]) -> None:
    names = {
        "pip": ["pyproject.toml"],
        "docker": ["Dockerfile"],
        "docker-compose": ["compose.yaml"],
        "github-actions": [".github/workflows"],
    }[update["package-ecosystem"]]
    for pattern in update.get("directories", [update.get("directory")]):
        folders = [ROOT] if pattern == "/" else list(ROOT.glob(pattern.removeprefix("/")))
        assert any((folder / name).exists() for folder in folders for name in names), pattern
