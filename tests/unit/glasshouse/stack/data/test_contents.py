import io
import tarfile
from collections.abc import Iterable

import pytest

from glasshouse.errors import BackupError
from glasshouse.stack.data import contents


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o600) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def packed(members: Iterable[tarfile.TarInfo]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return io.BytesIO(file.getvalue())


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("/etc/passwd")], "leads out"),
        ([member("../up")], "leads out"),
        ([member("a/../../up")], "leads out"),
        ([member("./a/../b")], "leads out"),
        ([member("d", tarfile.SYMTYPE, "/etc"), member("d/passwd")], "behind a link that leads out"),
        ([member("d/passwd"), member("d", tarfile.SYMTYPE, "..")], "behind a link that leads out"),
        (
            [
                member("a", tarfile.SYMTYPE, "b/c"),
                member("b", tarfile.DIRTYPE),
                member("b/c", tarfile.SYMTYPE, "../.."),
                member("a/x"),
            ],
            "behind a link that leads out",
        ),
        ([member("null", tarfile.CHRTYPE)], "no file, directory or link"),
        ([member("pipe", tarfile.FIFOTYPE)], "no file, directory or link"),
        ([member("hard", tarfile.LNKTYPE, "/etc/shadow")], "no file, directory or link"),
        ([member("root", mode=0o4755)], "setuid"),
        ([member("group", mode=0o2755)], "setuid"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value[0].name.strip("/."),
)
def test_what_leads_out_is_refused(members: list[tarfile.TarInfo], message: str) -> None:
    with pytest.raises(BackupError, match=message):
        contents.read(packed(members), "secrets")


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "live/../../out", "loop"])
def test_a_link_that_leads_out_is_left_out_and_named(target: str) -> None:
    links = [
        member("x", tarfile.SYMTYPE, target),
        member("loop", tarfile.SYMTYPE, "loop"),
        member("live", tarfile.DIRTYPE),
    ]
    found = contents.read(packed(links), "secrets")
    assert "x" in found.left_out
    assert "x" not in found.entries


def test_links_that_stay_inside_are_kept_those_of_certbot_and_kubernetes_too() -> None:
    links = [
        member("archive/d/cert1.pem"),
        member("live/d/cert.pem", tarfile.SYMTYPE, "../../archive/d/cert1.pem"),
        member("..2026/keys.yaml"),
        member("..data", tarfile.SYMTYPE, "..2026"),
        member("keys.yaml", tarfile.SYMTYPE, "..data/keys.yaml"),
    ]
    found = contents.read(packed(links), "secrets")
    assert found.left_out == ()
    assert found.entries["live/d/cert.pem"] == "-> ../../archive/d/cert1.pem"
    assert found.entries["keys.yaml"] == "-> ..data/keys.yaml"


def test_what_is_no_tar_gz_is_damaged() -> None:
    whole = packed([member("a")]).getvalue()
    for wrong in (b"", b"x" * 2000, whole[:20], whole[:10] + b"\xff" * 10 + whole[20:]):
        with pytest.raises(BackupError, match="damaged"):
            contents.read(io.BytesIO(wrong), "secrets")


@pytest.mark.parametrize(
    ("name", "is_lock"), [(".lock", True), ("gateway/.keys.yaml.lock", True), (".block", False), ("lock", False)]
)
def test_which_files_are_locks(name: str, is_lock: bool) -> None:
    assert contents.is_lock(name) is is_lock
