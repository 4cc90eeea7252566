"""`.env` as Compose reads it: the same files, read by ours and by the real Compose."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from glasshouse import env_file
from glasshouse.errors import SettingsError
from glasshouse.settings import load

NAMES = ("A", "B", "C", "D")
ENVIRONMENT = {"HERE": "from the environment", "EMPTY": ""}
# Each file, and what is in it; None: it is refused.
FILES: dict[bytes, dict[str, str] | None] = {
    b"": {},
    b"A=1": {"A": "1"},
    b"\xef\xbb\xbfA=1\nB=2\n": {"A": "1", "B": "2"},
    b"\xef\xbb\xbf\xef\xbb\xbfA=1\n": None,
    b"A=1\r\nB='2'\r\n\r\n# c\r\nC=\"3\"\r\n": {"A": "1", "B": "2", "C": "3"},
    b"A=1\rB=2": {"A": "1\rB=2"},
    b"# why\n\n  # more\n\texport A=1\nexport\tB=2\n  C = 3  ": {"A": "1", "B": "2", "C": "3"},
    b"A=1\nA=2\nB=": {"A": "2"},
    "A=키 값\nB='키'\nC=\"키\"".encode(): {"A": "키 값", "B": "키", "C": "키"},
    "A=1\u2028B=2\nB=x\u00a0y".encode(): {"A": "1\u2028B=2", "B": "x\u00a0y"},
    b'A=a b c\nB=x=y\nC==x\nD={"a": 1}': {"A": "a b c", "B": "x=y", "C": "=x", "D": '{"a": 1}'},
    b"A=two # not this\nB=a#b\nC=#c\nD= #d": {"A": "two", "B": "a#b", "C": "#c", "D": "#d"},
    b"A=x\t# y\nB='q' # c\nC=\"x # y\"# c\nD=a #": {"A": "x\t# y", "B": "q", "C": "x # y", "D": "a"},
    b"A=it's\nB=a\"b\nC=x'y'\nD=C:\\x\\new": {"A": "it's", "B": 'a"b', "C": "x'y'", "D": "C:\\x\\new"},
    b"A='$HERE ${HERE} $$ \\n \\\\'\nB='it\\'s'\nC=''\nD=' x '": {
        "A": "$HERE ${HERE} $$ \\n \\\\", "B": "it's", "D": " x ",
    },
    b'A="$HERE"\nB="${HERE}s"\nC="\\$HERE $$HERE"\nD="\\"q\\" \\\\ \\n\\t\\r|\\x41\\u0041\\\'"': {
        "A": "from the environment", "B": "from the environments", "C": "$HERE $HERE",
        "D": "\"q\" \\ \n\t\r|\\x41\\u0041\\'",
    },
    b"A='a\n# b\nC=c'\nB=\"a\n\nb\" # c\nD=d": {"A": "a\n# b\nC=c", "B": "a\n\nb", "D": "d"},
    b"A=$HERE/x\nB=${A}\nC=$NOBODY\nD=x$": {"A": "from the environment/x", "B": "from the environment/x", "D": "x$"},
    b"A=${NO:-d e}\nB=${NO-d}\nC=${EMPTY:-d}\nD=x${EMPTY-d}": {"A": "d e", "B": "d", "C": "d", "D": "x"},
    b"A=\nB=${A:-d}\nC=x${A-d}y": {"B": "d", "C": "xy"},
    b"A=a$$b\nB=$1\nC=100%\nD=a\\$NO": {"A": "a$b", "B": "$1", "C": "100%", "D": "a\\"},
    b"A=$(id)\nB=`id`\nC=a;b&c|d\nD=*?[a]~": {"A": "$(id)", "B": "`id`", "C": "a;b&c|d", "D": "*?[a]~"},
    b"A='open": None,
    b'A="open\nB=2': None,
    b"A='x'y": None,
    b"A='x' 'y'": None,
    b"A": None,
    b"export A": None,
    b"=x": None,
    b"A=a\0b": None,
    b"A='a\0b'": None,
    b"\xff=1": None,
    b"A=${NO:?it is missing}": None,
    b"A=${": None,
    b"A=${}": None,
}  # fmt: skip
# What Compose takes, in a way that hardly anybody means.
REFUSED_HERE = [
    b"A: yaml", b"1A=x", b"A-B=x", b"A.B=x", b"A=\xff", b"A=${HERE:+x}", b"A=${NO:-${HERE}}", b'A="\\0101"', b'A="\\a"',
]  # fmt: skip
needs_compose = pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(("docker", "compose", "version"), capture_output=True, check=False).returncode != 0,
    reason="Docker Compose is not installed",
)


def ours(directory: Path, content: bytes) -> dict[str, str] | None:
    file = directory / ".env"
    file.write_bytes(content)
    try:
        return env_file.read(file, ENVIRONMENT)
    except SettingsError:
        return None


def composes(directory: Path, content: bytes) -> dict[str, str] | None:
    """What Compose makes of it; it only reads, no daemon is asked."""
    (directory / ".env").write_bytes(content)
    reported = {name: f"${{{name}}}" for name in NAMES}
    stack = {"name": "x", "services": {"a": {"image": "i", "environment": reported}}}
    (directory / "compose.yaml").write_text(json.dumps(stack))
    done = subprocess.run(
        ("docker", "compose", "config", "--format", "json"), cwd=directory, capture_output=True, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(directory), **ENVIRONMENT},
    )  # fmt: skip
    if done.returncode:
        return None
    found = json.loads(done.stdout)["services"]["a"]["environment"]
    return {name: value.replace("$$", "$") for name, value in found.items() if value}


@pytest.mark.parametrize("content", FILES, ids=repr)
def test_it_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    assert ours(tmp_path, content) == FILES[content]


@needs_compose
@pytest.mark.parametrize("content", FILES, ids=repr)
def test_compose_reads_the_same(tmp_path: Path, content: bytes) -> None:
    assert composes(tmp_path, content) == FILES[content]


@pytest.mark.parametrize("content", REFUSED_HERE, ids=repr)
def test_what_compose_takes_otherwise_than_one_expects_is_refused(tmp_path: Path, content: bytes) -> None:
    assert ours(tmp_path, content) is None


@pytest.mark.parametrize("line", ["nonsense", "1A=2", "A='open", "A=${", 'A="${"', "A='x' y", 'A="\\a\n"'])
def test_a_wrong_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"OK='1\n\n'\n\n# c\n{line}\n")
    with pytest.raises(SettingsError, match=r"^\.env, line 6"):
        env_file.read(file, {})


def test_a_line_that_cannot_be_read_is_named_and_not_shown(root: Path) -> None:
    (root / ".env").write_text("GATEWAY_PORT=8010\nENGINES: vllm=http://user:pass-word@host\n")
    with pytest.raises(SettingsError) as caught:
        load(root, {})
    assert str(caught.value) == ".env, line 2 is not NAME=value."


def test_a_missing_env_file_is_an_empty_one(tmp_path: Path) -> None:
    assert env_file.read(tmp_path / ".env", {}) == {}


def test_a_setting_may_be_made_of_others(root: Path) -> None:
    (root / ".env").write_text("\ufeffBASE=/srv/$WHO\r\nRUN_DIR=${BASE}/run\r\n", encoding="utf-8")
    assert load(root, {"WHO": "me"}).run_dir == Path("/srv/me/run")
