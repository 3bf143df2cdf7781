import gc
import gzip
import os
import re
import struct
import threading
import tracemalloc
import warnings
import zipfile
import zlib
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_archives import TAR_MODES, changed, forged, medmnist_arrays, tarred, zip_link, zipped
from plainfilm.data.decoding import decoded
from plainfilm.data.places import archive_members
from plainfilm.data.places.archives import is_archive, open_archive
from plainfilm.data.problem_words import meaning
from plainfilm.errors import CatalogError

MEMBERS = {
    "normal/a.png": b"\x89PNG" + os.urandom(3000),
    "normal/ünï/b.dcm": bytes(128) + b"DICM" + bytes(5000),
    "empty.txt": b"",
    "__MACOSX/._a.png": b"x",
    "deep/" + "folder/" * 30 + "c.png": b"long name",
    "inside.zip": b"PK\x03\x04",
}
SIZE, METHOD, FLAGS = 24, 10, 8  # offsets in an entry of a zip's directory


def made(path: Path, kind: str) -> Path:
    if kind in TAR_MODES:
        return tarred(path, MEMBERS, TAR_MODES[kind])
    return zipped(path, MEMBERS, {"zip": zipfile.ZIP_DEFLATED, "stored": zipfile.ZIP_STORED}[kind])


def refused(path: Path) -> str:
    assert is_archive(path)
    with pytest.raises(CatalogError) as caught:
        open_archive(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def zip_with(path: Path, *infos: zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("normal/a.png", b"sound")
        for info in infos:
            file.writestr(info, b"data")
    return path


@pytest.mark.parametrize("kind", ["zip", "stored", *TAR_MODES])
def test_members_are_listed_in_order_and_read(tmp_path, kind):
    path = made(tmp_path / "without-extension", kind)
    assert is_archive(path)
    with open_archive(path) as archive:
        assert archive.names == tuple(MEMBERS)
        assert archive.problems == []
        assert archive.in_order == (kind not in {"zip", "stored", "tar"})
        assert archive.labels == archive.splits == archive.findings == {}
        for name, data in MEMBERS.items():
            assert archive.size(name) == len(data)
            assert archive.head(name) == data[:512]
            assert archive.head(name, 2000) == data[:2000]
            assert archive.read(name) == data
        assert archive.read("empty.txt") == b""
        assert {name: archive.read(name) for name in reversed(archive.names)} == MEMBERS
        with pytest.raises(KeyError):
            archive.read("absent")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_that_holds_nothing_has_no_members(tmp_path, kind):
    path = tmp_path / "a"
    zipped(path, {"folder/": b""}) if kind == "zip" else tarred(path, {}, TAR_MODES[kind])
    if kind == "tar":  # only zeros: nothing tells it from any other file
        assert not is_archive(path)
    elif kind == "tar.gz":
        assert "holds none" in refused(path)
    else:
        with open_archive(path) as archive:
            assert archive.names == ()


@pytest.mark.parametrize("kind", ["zip", "stored", *TAR_MODES])
def test_threads_read_what_they_ask_for(tmp_path, kind):
    members = {f"{n}.png": os.urandom(1 + n * 37) for n in range(200)}
    path = zipped(tmp_path / "a.zip", members, zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED)
    if kind in TAR_MODES:
        path = tarred(tmp_path / "a", members, TAR_MODES[kind])
    read: dict[str, bytes] = {}
    with open_archive(path) as archive:
        chunks = [archive.names[start : start + 8] for start in range(0, 200, 8)]

        def work() -> None:
            while chunks:
                for name in chunks.pop(0):
                    read[name] = archive.read(name)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert read == members


@pytest.mark.parametrize(
    "name",
    [
        *("../a.png", "a/../../b.png", "/etc/a.png", "//host/share/a.png", "C:/a.png", "C:a.png", ".."),
        *("..\\a.png", "a\\..\\..\\b.png", "\\a.png", "c:\\a.png", "a/.. /b.png", "\\\\host\\share\\a.png"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_name_that_leads_outside_is_set_aside(tmp_path, kind, name):
    members = {name: b"out", "in.png": b"in"}
    path = zipped(tmp_path / "a", members) if kind == "zip" else tarred(tmp_path / "a", members, TAR_MODES[kind])
    with open_archive(path) as archive:
        assert archive.names == ("in.png",)
        assert archive.read("in.png") == b"in"
        (problem,) = archive.problems
        assert (problem.file, problem.code, problem.fatal) == (name, "outside-folder", True)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_names_are_posix_paths_and_the_last_member_of_a_name_counts(tmp_path, kind):
    members = {"./normal//a.png": b"first", "b.png": b"b", "normal\\a.png": b"last", "normal/.hidden..png": b"h"}
    path = zipped(tmp_path / "a", members) if kind == "zip" else tarred(tmp_path / "a", members, TAR_MODES[kind])
    with open_archive(path) as archive:
        assert archive.names == ("b.png", "normal/a.png", "normal/.hidden..png")
        assert [archive.read(name) for name in archive.names] == [b"b", b"last", b"h"]
        (problem,) = archive.problems
        assert (problem.file, problem.code, problem.fatal) == ("normal/a.png", "repeated-member", False)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@given(names=st.lists(st.text("abC./\\: é雪", min_size=1, max_size=9), unique=True, max_size=12))
def test_every_name_is_inside_or_set_aside(tmp_path_factory, kind, names):
    members = {"sound": b"", **{name: name.encode() for name in names if name[-1] not in "/\\"}}
    path = tmp_path_factory.mktemp("names") / "a"
    zipped(path, members) if kind == "zip" else tarred(path, members, TAR_MODES[kind])
    with open_archive(path) as archive:
        assert len(archive.names) + len(archive.problems) == len(members)
        for name in archive.names:
            assert not {"", ".", ".."} & set(name.split("/"))
            assert not re.match("[A-Za-z]:", name)
            written = archive.read(name).decode() or "sound"
            assert [part for part in re.split(r"[/\\]", written) if part not in {"", "."}] == name.split("/")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "npz"])
@given(data=st.data())
def test_damage_is_an_error_of_the_archive_or_of_a_member(tmp_path_factory, kind, data):
    path = tmp_path_factory.mktemp("damage") / f"a.{kind}"
    if kind == "npz":
        np.savez(path, **medmnist_arrays(rows=2))
    else:
        zipped(path, MEMBERS) if kind == "zip" else tarred(path, MEMBERS, TAR_MODES[kind])
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))])
    with suppress(CatalogError), open_archive(path) as archive:
        for name in archive.names:
            with suppress(OSError):
                assert len(archive.read(name)) == archive.size(name)


def test_a_zip_read_in_parts_of_a_stream_costs_its_size(tmp_path):
    """A member of 50 MB of zeros that says it has 100 bytes."""
    path = forged(zipped(tmp_path / "a.zip", {"bomb.png": bytes(50_000_000), "a.png": b"a"}), SIZE, "<L", 100)
    with open_archive(path) as archive:
        tracemalloc.start()
        with pytest.raises(OSError, match="Expected a member that can be read whole; received a damaged one"):
            archive.read("bomb.png")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 1_000_000


def test_a_member_shorter_than_it_says_is_damaged(tmp_path):
    path = forged(zipped(tmp_path / "a.zip", {"a.png": bytes(100)}), SIZE, "<L", 1000)
    with open_archive(path) as archive, pytest.raises(OSError, match="damaged"):
        archive.read("a.png")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_member_of_too_many_bytes_is_set_aside(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(decoded, "MAX_BYTES", 1_000_000)
    members = {"a.png": bytes(1_000_000), "large.png": bytes(2_000_000), "b.png": b"b"}
    path = zipped(tmp_path / "a", members) if kind == "zip" else tarred(tmp_path / "a", members, TAR_MODES[kind])
    with open_archive(path) as archive:
        assert archive.names == ("a.png", "b.png")
        assert archive.read("b.png") == b"b"
        assert [problem.code for problem in archive.problems] == ["too-many-bytes"]
        assert archive.problems[0].sentence == (
            "The member has 2 MB, more than 1 MB. Save a smaller or compressed copy."
        )


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_an_archive_that_inflates_too_far_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(archive_members, "ALWAYS_INFLATED_BYTES", 1000)
    members = {f"{n}.png": bytes(500_000) for n in range(20)}
    path = zipped(tmp_path / "a", members) if kind == "zip" else tarred(tmp_path / "a", members, TAR_MODES[kind])
    assert "inflates to at most 200 times its size" in refused(path)


def test_more_members_than_an_archive_may_have_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_members, "MAX_MEMBERS", 4)
    assert "at most 4 members" in refused(zipped(tmp_path / "a.zip", MEMBERS))


def test_links_encrypted_and_unknown_members_of_a_zip_are_set_aside(tmp_path):
    path = zip_with(tmp_path / "a.zip", zip_link("link.png"), zipfile.ZipInfo("lock.png"), zipfile.ZipInfo("big.png"))
    for name, offset, value in (("lock.png", FLAGS, 1), ("big.png", METHOD, 9)):
        whole = bytearray(path.read_bytes())
        entry = whole.rindex(name.encode()) - 46
        whole[entry + offset] |= value
        path.write_bytes(whole)
    with open_archive(path) as archive:
        assert archive.names == ("normal/a.png",)
        assert {problem.file: problem.code for problem in archive.problems} == {
            "link.png": "linked-member",
            "lock.png": "encrypted",
            "big.png": "unsupported-compression",
        }
        assert all(meaning(problem.code) for problem in archive.problems)


def test_an_archive_of_which_nothing_can_be_read_says_why(tmp_path):
    assert "is encrypted" in refused(forged(zipped(tmp_path / "a.zip", MEMBERS), FLAGS, "<H", 1))
    assert "neither stored nor deflated" in refused(forged(zipped(tmp_path / "b.zip", MEMBERS), METHOD, "<H", 9))
    assert "neither stored nor deflated" in refused(zipped(tmp_path / "c.zip", MEMBERS, zipfile.ZIP_BZIP2))


def test_a_member_whose_checksum_is_wrong_is_an_error_and_its_neighbours_are_read(tmp_path):
    path = changed(
        zipped(tmp_path / "a.zip", {"a.png": b"sound", "b.png": b"other"}, zipfile.ZIP_STORED), b"sound", b"wound"
    )
    with open_archive(path) as archive:
        with pytest.raises(OSError, match=r"^Expected a member that can be read whole; received a damaged one\. Copy"):
            archive.read("a.png")
        assert archive.read("b.png") == b"other"


@pytest.mark.parametrize("kind", ["zip", *TAR_MODES])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_an_archive_that_is_cut_off_is_refused(tmp_path, kind, share):
    path = made(tmp_path / "a", kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    if kind == "tar" and share == 0.9:  # only zeros are cut off there
        assert whole[int(len(whole) * share) :].strip(b"\0") == b""
        return
    assert "is damaged, cut off or the first of several parts" in refused(path)


def test_parts_of_a_zip_are_told_from_damage(tmp_path):
    path = changed(zipped(tmp_path / "a.zip", MEMBERS), b"PK\x05\x06\0\0", b"PK\x05\x06\2\0")
    assert "the last of several parts" in refused(path)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z"),
        (b"Rar!\x1a\x07\x01\0", "RAR"),
        (b"\x1f\x9d\x90", "compress"),
        (b"LZIP\1", "lzip"),
    ],
)
def test_kinds_that_cannot_be_read_are_named(tmp_path, head, kind):
    path = tmp_path / "a.zip"
    path.write_bytes(head + bytes(600))
    assert kind in refused(path)


def test_a_compressed_file_that_is_no_tar_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(b"file,label\na.png,normal\n" * 100))
    assert "Expected a tar in a compressed file" in refused(path)


def test_content_not_names_tells_an_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(600))
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "folder.zip").mkdir()
    assert not any(map(is_archive, [*tmp_path.iterdir(), tmp_path / "absent.zip"]))
    with pytest.raises(CatalogError, match=r"Expected a zip or a tar; received .*a\.zip, none of these"):
        open_archive(tmp_path / "a.zip")
    with pytest.raises(CatalogError, match="No such file"):
        open_archive(tmp_path / "absent.zip")


def extra(name: bytes, shown: str) -> bytes:
    told = struct.pack("<BL", 1, zlib.crc32(name)) + shown.encode()
    return struct.pack("<HH", 0x7075, len(told)) + told


@pytest.mark.parametrize(
    ("written", "unicode", "shown"),
    [
        (b"r\x81ntgen.png", None, "rüntgen.png"),  # cp437
        ("réntge.png".encode(), None, "réntge.png"),  # UTF-8, of which macOS says nothing
        (b"r?ntgen.png", "röntgen.png", "röntgen.png"),
    ],
)
def test_names_of_a_zip_are_read_in_their_encoding(tmp_path, written, unicode, shown):
    info = zipfile.ZipInfo("rXntgen.png")
    info.extra = extra(written, unicode) if unicode else b""
    path = changed(zip_with(tmp_path / "a.zip", info), b"rXntgen.png", written)
    with open_archive(path) as archive:
        assert archive.names == ("normal/a.png", shown)
        assert archive.read(shown) == b"data"


def test_a_unicode_name_of_another_name_is_passed_over(tmp_path):
    info = zipfile.ZipInfo("renamed.png")
    info.extra = extra(b"before.png", "before.png")
    with open_archive(zip_with(tmp_path / "a.zip", info)) as archive:
        assert archive.names[1] == "renamed.png"


def test_a_zip64_is_read(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file, file.open("a.png", "w", force_zip64=True) as member:
        member.write(b"data")
    with open_archive(path) as archive:
        assert archive.read("a.png") == b"data"


def test_image_files_that_are_npy_are_members_like_others(tmp_path):
    with open_archive(zipped(tmp_path / "a.zip", {"a.npy": b"a", "b.npy": b"b"})) as archive:
        assert archive.names == ("a.npy", "b.npy")
        assert not archive.in_order


@pytest.mark.parametrize("kind", ["zip", "npz", *TAR_MODES])
def test_an_archive_that_nobody_has_any_more_is_closed(tmp_path, kind):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        path = tmp_path / f"x.{kind}"
        if kind == "npz":
            np.savez_compressed(path, **medmnist_arrays())
        else:
            made(path, kind)
        archive = open_archive(path)
        read = partial(archive.read, archive.names[0])
        del archive
        assert read()
        del read
        gc.collect()
    assert not told
