import hashlib
import re
import stat
import textwrap
from datetime import date
from pathlib import Path

import pytest
import yaml

import gateway.policies.keys
from glasshouse.errors import KeysError
from glasshouse.secrets import keys

A, B = "a" * 64, "1" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def test_a_key_is_long_and_never_the_same() -> None:
    made = {keys.new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith("sk-") and len(key) >= 46 for key in made)  # 43 characters of base64 are 256 bits


def test_the_gateway_reads_what_is_written(path: Path) -> None:
    keys.add(path, keys.Entry("alice", keys.digest("sk-1"), "admin", date(2099, 1, 31), ("m1", 'we"ird\\')))
    keys.add(path, keys.Entry("no", B))  # both would be something else in YAML without quotes
    read = gateway.policies.keys.read_keys(path)
    alice = read[hashlib.sha256(b"sk-1").digest()]
    assert (alice.name, alice.role, alice.expires) == ("alice", "admin", date(2099, 1, 31))
    assert alice.models == frozenset({"m1", 'we"ird\\'})
    assert read[bytes.fromhex(B)].name == "no"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_comments_stay(path: Path) -> None:
    path.write_text(f"# mine\nkeys:\n- name: one  # the first\n  sha256: {A}\n# end\n")
    keys.add(path, keys.Entry("two", B))
    keys.revoke(path, "one")
    text = path.read_text()
    assert all(comment in text for comment in ("# mine", "# the first", "# end"))
    assert [(entry.name, entry.sha256, entry.revoked) for entry in keys.read(path)] == [
        ("one", A, True),
        ("two", B, False),
    ]


ONE = f"- name: one  # the first\n  sha256: '{A}'\n  # not yet\n  revoked: false\n"
TWO = f'- name: "two"\n  sha256: "{B}"\n  role: user\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"# why\n---\n# who\nkeys:\n{ONE}\n# end\n", f"# why\n---\n# who\nkeys:\n{ONE}\n# end\n{TWO}"),
        (f"keys: # who\n# first\n{ONE}".rstrip(), f"keys: # who\n# first\n{ONE}{TWO}"),
        (f"%YAML 1.1\n---\nkeys:\n{ONE}", f"%YAML 1.1\n---\nkeys:\n{ONE}{TWO}"),
        (
            f"keys:\n{textwrap.indent(ONE, '    ')}\n    # end\n",
            f"keys:\n{textwrap.indent(ONE, '    ')}\n    # end\n{textwrap.indent(TWO, '    ')}",
        ),
        ("# a\nkeys:\n# b\n", f"# a\nkeys:\n{textwrap.indent(TWO, '  ')}# b\n"),
    ],
    ids=["document start", "no newline at the end", "directive", "indentation", "empty list"],
)
def test_an_edit_changes_nothing_else(path: Path, before: str, after: str) -> None:
    path.write_text(before)
    keys.add(path, keys.Entry("two", B))
    assert path.read_text() == after


@pytest.mark.parametrize(
    "text",
    [
        f"keys:\n- &one\n  name: one\n  sha256: {A}\n- *one\n",
        f"keys:\n- name: other\n  name: one\n  sha256: {A}\n",
        f'{{"keys": [{{"name": "one", "sha256": "{A}"}}]}}',
    ],
    ids=["alias", "duplicate field", "JSON"],
)
def test_a_key_is_revoked_in_every_form_of_the_file(path: Path, text: str) -> None:
    path.write_text(text)
    count = len(keys.read(path))
    assert keys.revoke(path, "one") == count
    assert [(entry.name, entry.sha256, entry.revoked) for entry in keys.read(path)] == [("one", A, True)] * count


@pytest.mark.parametrize(
    "text", ["", "keys: []\n", "keys:\n", f"keys: [{{name: one, sha256: {A}}}]\n", "# nothing yet\n"]
)
def test_every_form_of_the_file_can_be_added_to(path: Path, text: str) -> None:
    path.write_text(text)
    before = keys.read(path)
    keys.add(path, keys.Entry("two", B))
    assert keys.read(path) == (*before, keys.Entry("two", B))


def test_a_second_key_of_a_name_needs_rotate_and_both_are_good(path: Path) -> None:
    keys.add(path, keys.Entry("alice", A))
    with pytest.raises(KeysError, match="ROTATE=1"):
        keys.add(path, keys.Entry("alice", B))
    keys.add(path, keys.Entry("alice", B), rotate=True)
    assert [key.revoked for key in gateway.policies.keys.read_keys(path).values()] == [False, False]
    with pytest.raises(KeysError, match="'bob'"):
        keys.add(path, keys.Entry("bob", B), rotate=True)


def test_revoke_ends_every_key_of_the_name(path: Path) -> None:
    keys.add(path, keys.Entry("alice", A))
    keys.add(path, keys.Entry("bob", "2" * 64))
    keys.add(path, keys.Entry("alice", B), rotate=True)
    assert keys.revoke(path, "alice") == 2
    assert keys.revoke(path, "alice") == 0
    assert [entry.revoked for entry in keys.read(path)] == [True, False, True]
    with pytest.raises(KeysError, match="Known names: alice, bob"):
        keys.revoke(path, "carol")


def test_revoke_changes_a_false_in_its_place(path: Path) -> None:
    path.write_text(f"keys:\n  - {{name: one, sha256: {A}, revoked: false}}  # kept\n")
    keys.revoke(path, "one")
    assert re.sub(" +#", " #", path.read_text()) == f"keys:\n  - {{name: one, sha256: {A}, revoked: true}} # kept\n"


@pytest.mark.parametrize("name", ["", "Alice", "a b", "a" * 65, "ä", "-\n", "a\n"])
def test_a_wrong_name_is_refused(path: Path, name: str) -> None:
    with pytest.raises(KeysError, match="not allowed"):
        keys.add(path, keys.Entry(name, A))
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "a",
        "users: []",
        "keys: {}",
        "keys: [1]",
        "keys: [{name: a}]",
        f"keys: [{{name: a, sha256: {A}, more: 1}}]",
        f"keys: [{{name: a, sha256: {A}, role: god}}]",
        f"keys: [{{name: a, sha256: {A}, expires: soon}}]",
        f"keys: [{{name: a, sha256: {A}, models: m}}]",
        f"keys: [{{name: a, sha256: {A}, revoked: 3}}]",
        "keys: [{name: a, sha256: sk-in-the-wrong-place}]",
        "keys: [{name: a, sha256: @sk-in-the-wrong-place}]",
        "keys: !!int sk-in-the-wrong-place",
        "[" * 10_000,
    ],
)
def test_a_wrong_file_is_left_alone(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(KeysError, match=r"keys\.yaml") as caught:
        keys.add(path, keys.Entry("two", B))
    assert "sk-in" not in str(caught.value)
    assert path.read_text() == text


def test_states() -> None:
    today = date(2030, 5, 5)
    assert keys.Entry("a", A).state(today) == "valid"
    assert keys.Entry("a", A, expires=today).state(today) == "valid"
    assert keys.Entry("a", A, expires=date(2030, 5, 4)).state(today) == "expired"
    assert keys.Entry("a", A, revoked=True).state(today) == "revoked"


def test_no_temporary_file_is_left(path: Path) -> None:
    keys.add(path, keys.Entry("alice", A))
    assert sorted(file.name for file in path.parent.iterdir()) == [".keys.yaml.lock", "keys.yaml"]
    assert yaml.safe_load(path.read_text())["keys"][0]["name"] == "alice"


def test_a_link_stays_a_link_and_its_file_is_changed(path: Path) -> None:
    table = path.parent / "repository" / "table.yaml"
    table.parent.mkdir()
    keys.add(table, keys.Entry("alice", keys.digest("a")))
    path.symlink_to("repository/table.yaml")
    keys.add(path, keys.Entry("bob", keys.digest("b")))
    keys.revoke(path, "alice")
    assert path.is_symlink()
    assert not table.is_symlink()
    assert [(entry.name, entry.revoked) for entry in keys.read(table)] == [("alice", True), ("bob", False)]
    # No half-written file is left, and both names have one lock.
    assert sorted(file.name for file in path.parent.iterdir()) == ["keys.yaml", "repository"]


def test_where_a_link_leads_nowhere_the_file_is_made_there(path: Path) -> None:
    (path.parent / "a").mkdir()
    path.symlink_to("first")
    (path.parent / "first").symlink_to("a/table.yaml")
    keys.add(path, keys.Entry("alice", keys.digest("a")))
    assert path.is_symlink()
    assert [entry.name for entry in keys.read(path.parent / "a" / "table.yaml")] == ["alice"]


def test_links_that_cannot_be_followed_are_an_error_and_stay(path: Path) -> None:
    path.symlink_to("nowhere/table.yaml")
    with pytest.raises(OSError, match=r"nowhere/"):
        keys.add(path, keys.Entry("alice", keys.digest("a")))
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        keys.add(path, keys.Entry("alice", keys.digest("a")))
    assert path.is_symlink()
