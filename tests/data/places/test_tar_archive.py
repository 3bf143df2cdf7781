import gzip
import io
import os
import struct
import tarfile
import threading
from pathlib import Path

import pytest

from made_archives import TAR_MODES, tar_header, tarred
from plainfilm.data.places import archive_members, archives, tar_archive
from plainfilm.data.places.archives import is_archive, open_archive
from plainfilm.errors import CatalogError

BLOCK = 512
PIECES = [(1024, 700), (4096, 4)]
SPARSE_SIZE = 5000


class CountingGzip(gzip.GzipFile):
    """Counts how often a stream starts again, and the bytes read out of it."""

    rewound = 0
    delivered = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        CountingGzip.rewound += whence == os.SEEK_SET and offset < self.tell()
        return super().seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        CountingGzip.delivered += len(data)
        return data


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setitem(archives._COMPRESSED, b"\x1f\x8b\x08", lambda file: CountingGzip(fileobj=file))
    CountingGzip.rewound = CountingGzip.delivered = 0


def in_blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def with_checksum(header: bytes) -> bytes:
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def refused(path: Path) -> str:
    assert is_archive(path)
    with pytest.raises(CatalogError) as caught:
        open_archive(path)
    return str(caught.value)


def written(path: Path, *blocks: bytes, packed: bool = False) -> Path:
    data = b"".join(map(in_blocks, blocks)) + bytes(2 * BLOCK)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def gnu_sparse(packed: bytes) -> bytes:
    """Header of the old GNU form: its map stands in the header itself."""
    header = bytearray(tar_header("sparse.raw", len(packed), tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    for at, (start, length) in enumerate(PIECES):
        header[386 + 24 * at : 410 + 24 * at] = b"%011o\0%011o\0" % (start, length)
    header[483:495] = b"%011o\0" % SPARSE_SIZE
    return with_checksum(bytes(header)) + packed


def pax_sparse(packed: bytes) -> bytes:
    """Form 1.0 of pax: the map stands before the data."""
    told = in_blocks(b"%d\n" % len(PIECES) + b"".join(b"%d\n%d\n" % piece for piece in PIECES)) + packed
    header = tar_header("GNUSparseFile.0/sparse.raw", len(told))
    header.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sparse.raw",
        "GNU.sparse.realsize": str(SPARSE_SIZE),
    }
    return header.tobuf(tarfile.PAX_FORMAT) + told


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", [gnu_sparse, pax_sparse])
def test_a_sparse_member_is_read_with_its_holes(tmp_path, form, packed):
    data = os.urandom(704)
    after = tar_header("after.png", 3).tobuf()
    path = written(tmp_path / "a.tar", form(data), after, b"end", packed=packed)
    whole = bytearray(SPARSE_SIZE)
    whole[1024:1724], whole[4096:4100] = data[:700], data[700:]
    with open_archive(path) as archive:
        assert archive.names == ("sparse.raw", "after.png")
        assert archive.size("sparse.raw") == SPARSE_SIZE
        assert archive.head("sparse.raw", 1100) == whole[:1100]
        assert archive.read("sparse.raw") == whole
        assert archive.read("after.png") == b"end"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_every_form_are_read(tmp_path, form):
    name = "/".join(["a" * 60, "b" * 60, "ünï.png"])
    with open_archive(tarred(tmp_path / "a.tar", {name: b"data"}, form=form)) as archive:
        assert archive.names == (name,)
        assert archive.read(name) == b"data"


def test_a_tar_of_unix_v7_is_read(tmp_path):
    header = tar_header("film.png", 4).tobuf(tarfile.USTAR_FORMAT)
    old = with_checksum(header[:156] + bytes(BLOCK - 156))
    with open_archive(written(tmp_path / "a", old, b"data")) as archive:
        assert archive.read("film.png") == b"data"


@pytest.mark.parametrize("mode", ["tar", "tar.gz"])
def test_links_and_devices_are_set_aside(tmp_path, mode):
    path = tmp_path / "a"
    kinds = {"symlink": tarfile.SYMTYPE, "link": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "disk": tarfile.BLKTYPE}
    with tarfile.open(path, TAR_MODES[mode]) as file:
        for name, kind in kinds.items():
            header = tar_header(name, kind=kind)
            header.linkname = "/etc/passwd"
            file.addfile(header)
        file.addfile(tar_header("folder", kind=tarfile.DIRTYPE))
        file.addfile(tar_header("a.png", 4), io.BytesIO(b"data"))
    with open_archive(path) as archive:
        assert archive.names == ("a.png",)
        assert {problem.file for problem in archive.problems} == set(kinds)
        assert {problem.code for problem in archive.problems} == {"linked-member"}
        assert archive.read("a.png") == b"data"


def test_a_compressed_tar_is_inflated_once_to_list_it_and_once_to_read_it(tmp_path, counted):
    members = {f"{n}.png": os.urandom(n * 50) for n in range(100)}
    with open_archive(tarred(tmp_path / "a.tar.gz", members, "w:gz")) as archive:
        assert {name: archive.head(name) for name in archive.names} == {
            name: data[:512] for name, data in members.items()
        }
        assert CountingGzip.rewound == 1  # after the look at its kind
        CountingGzip.delivered = 0
        assert {name: archive.read(name) for name in archive.names} == members
        assert CountingGzip.rewound == 2
        assert CountingGzip.delivered == sum(map(len, members.values()))


def test_threads_that_read_nearly_in_order_share_a_pass(tmp_path, counted):
    members = {f"{n}.png": os.urandom(500) for n in range(160)}
    with open_archive(tarred(tmp_path / "a.tar.gz", members, "w:gz")) as archive:
        turns = [threading.Event() for _ in range(5)]
        read: dict[str, bytes] = {}

        def work(first: int) -> None:
            """Chunks of eight of every 32, each thread a member behind the one before it."""
            for start in range(8 * first, 160, 32):
                for name in archive.names[start : start + 8]:
                    turns[first].wait()
                    turns[first].clear()
                    read[name] = archive.read(name)
                    turns[(first + 1) % 4].set()

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        turns[0].set()
        for thread in threads:
            thread.join()
    assert read == members
    assert CountingGzip.rewound == 2


def test_what_waits_is_bounded_and_what_is_gone_is_read_again(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(archive_members, "BUFFER_BYTES", 2000)
    members = {f"{n}.png": os.urandom(900) for n in range(10)}
    with open_archive(tarred(tmp_path / "a.tar.gz", members, "w:gz")) as archive:
        assert archive.read("9.png") == members["9.png"]
        assert archive._stream._held == 900
        assert archive.read("8.png") == members["8.png"]
        assert archive._stream._held == 0
        assert CountingGzip.rewound == 2
        assert archive.read("0.png") == members["0.png"]
        assert archive.read("9.png") == members["9.png"]
        assert CountingGzip.rewound == 3


def test_heads_that_are_not_kept_are_looked_up(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(tar_archive, "MOST_HEADS", 3)
    members = {f"{n}.png": os.urandom(900) for n in range(10)}
    with open_archive(tarred(tmp_path / "a.tar.gz", members, "w:gz")) as archive:
        assert [archive.head(name) for name in archive.names] == [data[:512] for data in members.values()]
        assert {name: archive.read(name) for name in archive.names} == members
        assert CountingGzip.rewound == 2


def test_a_member_that_says_it_is_huge_is_not_inflated(tmp_path):
    path = written(tmp_path / "a.tar.gz", tar_header("bomb.png", 8 << 30).tobuf(tarfile.GNU_FORMAT), packed=True)
    assert "inflates to at most 200 times its size" in refused(path)


def number(value: int) -> bytes:
    """A size below 0, as GNU writes it: in base 256."""
    return struct.pack(">iq", -1, value)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_sizes_below_0_end_in_an_error(tmp_path, kind, packed):
    first = tar_header("a.png", 4).tobuf()
    header = tar_header("b.png", kind=kind).tobuf()
    hostile = with_checksum(header[:124] + number(-512) + header[136:])
    assert "is damaged" in refused(written(tmp_path / "a", first, b"data", hostile, packed=packed))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_that_are_too_large_or_too_many_end_in_an_error(tmp_path, kind):
    large = tar_header("x", 1 << 30, kind).tobuf()
    assert "is damaged" in refused(written(tmp_path / "a", large))
    assert "is damaged" in refused(written(tmp_path / "b", tar_header("x", 0, kind).tobuf() * 3000))
    assert "is damaged" in refused(written(tmp_path / "c", tar_header("x", 900_000, kind).tobuf(), b"1" * 900_000))


@pytest.mark.parametrize("pieces", [b"2\n0\n704\n0\n704\n", b"1\n4900\n704\n", b"1\n0\n-5\n", b"9" * 511 + b"\n"])
def test_a_sparse_map_that_cannot_be_is_damage(tmp_path, pieces):
    sound = b"%d\n" % len(PIECES) + b"".join(b"%d\n%d\n" % piece for piece in PIECES)
    data = pax_sparse(os.urandom(704))
    assert "is damaged" in refused(written(tmp_path / "a", data.replace(in_blocks(sound), in_blocks(pieces))))


def test_pieces_of_sparse_members_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_archive, "MOST_PIECES", 3)
    with open_archive(written(tmp_path / "a", pax_sparse(bytes(704)))) as archive:
        assert archive.names == ("sparse.raw",)
    assert "is damaged" in refused(written(tmp_path / "b", *[pax_sparse(bytes(704))] * 2))


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    first, second = tar_header("a.png", 4).tobuf(), tar_header("b.png", 4).tobuf()
    assert "is damaged" in refused(written(tmp_path / "a", first, b"data", b"X" + second[1:], b"data"))


def test_a_wrong_checksum_of_the_stream_is_damage(tmp_path):
    path = tarred(tmp_path / "a", {"a.png": os.urandom(2000)}, "w:gz")
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    assert "is damaged" in refused(path)
