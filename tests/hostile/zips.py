"""ZIP files that are not what they say, and files that are none."""

import gzip
import io
import pickle
import stat
import struct
import tarfile
import zipfile
from typing import Any

from hostile.base import MEMBERS, Build, Contents, Entry, Evil, case, entries_of, packed, with_entry, zipped

# fmt: off
NOT_OURS = "members are not a bundle's"
LAYOUT = "overlap, have gaps"
NO_ZIP = "no ZIP file"


def layout(**how: Any) -> Build:
    return lambda contents: zipped(entries_of(contents), **how)


NAMES = {
    "up": b"../recipe.toml",
    "up twice": b"../../canary.txt",
    "up in the middle": b"a/../../recipe.toml",
    "absolute": b"/tmp/recipe.toml",
    "drive": b"C:\\recipe.toml",
    "up for Windows": b"..\\recipe.toml",
    "here": b"./recipe.toml",
    "a folder": b"recipe.toml/",
    "with a zero": b"recipe.toml\0",
    "upper case": b"RECIPE.TOML",
    "with a space": b"recipe.toml ",
    "no name": b"",
    "no text": b"\xff\xferecipe",
    "a pickle": b"model.pkl",
    "a program": b"network.so",
    "a device": b"CON",
    "very long": b"a" * 300,
    "as the canary": b"canary.txt",
}
for label, name in NAMES.items():
    case(f"a member more, {label}", lambda c, n=name: zipped([*entries_of(c), Entry(n, b"x")]), NOT_OURS)
    case(f"a member renamed, {label}", with_entry("recipe.toml", name=name), NOT_OURS)
for member in MEMBERS:
    case(f"{member} is a link", with_entry(member, data=b"canary.txt", kind=(stat.S_IFLNK | 0o777) << 16), "link or a folder")
    case(f"{member} is missing", lambda c, m=member: packed_without(c, m), NOT_OURS)
    case(f"{member} twice", lambda c, m=member: zipped([*entries_of(c), Entry(m.encode(), c[m])]), NOT_OURS)
    case(f"{member} listed twice", lambda c, m=member: zipped(entries_of(c), repeat=[MEMBERS.index(m)]), LAYOUT)


def packed_without(contents: Contents, name: str) -> bytes:
    rest = {key: data for key, data in contents.items() if key != name}
    return zipped(entries_of(rest)) if name == "manifest.json" else packed(rest)


for label, mode in {"pipe": stat.S_IFIFO, "device": stat.S_IFCHR, "socket": stat.S_IFSOCK, "folder": stat.S_IFDIR}.items():
    case(f"a member is a {label}", with_entry("card.md", kind=mode << 16), "link or a folder")
case("a member has DOS's mark of a folder", with_entry("card.md", kind=0x10), "link or a folder")
for method in (1, 8, 9, 12, 14, 93, 99):
    case(f"method {method}", with_entry("recipe.toml", method=method), "is compressed")
    case(f"method {method} in the local header", with_entry("recipe.toml", local={"method": method}), "is compressed")


def bomb(contents: Contents) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**contents, "recipe.toml": b" " * 50_000_000}.items():
            archive.writestr(name, data)
    return file.getvalue()


case("a bomb of zeros", bomb, "is compressed")
for bit in (0, 3, 5, 6, 11, 13):
    case(f"flag {bit}", with_entry("recipe.toml", flags=1 << bit), "is encrypted")
    case(f"flag {bit} in the local header", with_entry("recipe.toml", local={"flags": 1 << bit}), "is encrypted")
    case(f"flag {bit} in the directory", with_entry("recipe.toml", central={"flags": 1 << bit}), "is encrypted")
for where in ("local", "central"):
    case(f"other size, {where}", with_entry("card.md", **{where: {"size": 1, "packed": 1}}), LAYOUT)
    case(f"other checksum, {where}", with_entry("card.md", **{where: {"crc": 1}}), LAYOUT)
    case(f"other name, {where}", with_entry("card.md", **{where: {"name": b"cord.md"}}), LAYOUT)
    case(f"extra field, {where}", with_entry("card.md", **{where: {"extra": b"UT\5\0\1abcd"}}), LAYOUT if where == "local" else NOT_OURS)
    case(f"ZIP64 field, {where}", with_entry("card.md", **{where: {"extra": struct.pack("<HHQQ", 1, 16, 9, 9), "size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}}),
         LAYOUT if where == "local" else NOT_OURS)  # fmt: skip
    case(f"size of 4 GiB, {where}", with_entry("card.md", **{where: {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}}), LAYOUT)
    case(f"version 45, {where}", with_entry("card.md", **{where: {"needed": 45}}), "compressed or too large")
    case(f"unpacks to more, {where}", with_entry("card.md", **{where: {"size": 50_000_000}}),
         LAYOUT if where == "local" else "compressed or too large")  # fmt: skip
case("wrong checksum in both", with_entry("card.md", crc=1), "card.md is cut off or altered")
case("size of 4 GiB in both", with_entry("network.onnx", size=0xFFFFFFFF, packed=0xFFFFFFFF), LAYOUT)
case("larger than the file in both", with_entry("seen.bin", size=1 << 20, packed=1 << 20), LAYOUT)
case("size told behind the data", with_entry("card.md", flags=8, local={"crc": 0, "size": 0, "packed": 0}), "told behind it")
case("starts on another disk", with_entry("card.md", central={"disk": 1}), NOT_OURS)
case("a comment of a member", with_entry("card.md", central={"comment": b"hello"}), NOT_OURS)
case("two members share bytes", with_entry("card.md", central={"start": 0}), LAYOUT)
case("a member starts far outside", with_entry("card.md", central={"start": 0x7FFFFFFF}), LAYOUT)
case("a member starts in the directory", with_entry("seen.bin", central={"start": 11_000}), LAYOUT)
case("bytes before", layout(before=b"#!/bin/sh\necho hello\n"), LAYOUT)
case("bytes before, told right", layout(before=b"MZ" + bytes(100)), LAYOUT)
case("bytes between", layout(between=b"\0" * 8), LAYOUT)
case("bytes behind the directory", layout(after=b"hello"), NO_ZIP)
case("bytes behind the end", layout(behind=b"hello"), NO_ZIP)
case("a page of zeros behind the end", layout(behind=bytes(4096)), NO_ZIP)
case("a comment", layout(comment=b"hello"), NO_ZIP)
case("the longest comment", layout(comment=b"x" * 65535), NO_ZIP)
case("a comment that holds another end", lambda c: zipped(entries_of(c), comment=zipped(entries_of(c))[-22:]), NO_ZIP)
case("another ZIP behind", lambda c: zipped(entries_of(c)) * 2, LAYOUT + "|" + NO_ZIP)
for label, told in {"no members": {"here": 0, "count": 0}, "one too many": {"here": 10, "count": 10}, "one too few": {"here": 8, "count": 8},
                    "65,535 members": {"here": 65535, "count": 65535}, "counts that differ": {"here": 8}, "two disks": {"disk": 1},
                    "a directory elsewhere": {"start": 1}, "a directory far behind": {"start": 0xFFFFFFFF},
                    "a huge directory": {"size": 0x7FFFFFFF}, "an empty directory": {"size": 0}}.items():  # fmt: skip
    case(f"the end tells of {label}", layout(end=told), f"{NO_ZIP}|directory")
case("a directory that is longer than its entries", lambda c: zipped(entries_of(c), after=b"hello", end={"size": directory_size(c) + 5}), "other bytes in it")
case("20 members", lambda c: zipped([*entries_of(c), *(Entry(b"m%d" % n, b"") for n in range(11))]), NO_ZIP)
case("a directory with other bytes", lambda c: zipped(entries_of(c)).replace(b"PK\1\2", b"PK\1\1", 1), NOT_OURS)
case("a local header that is none", lambda c: zipped(entries_of(c)).replace(b"PK\3\4", b"PK\3\3", 1), LAYOUT)
for member, size in {
    "recipe.toml": 1 << 20,
    "card.md": 1 << 20,
    "metrics.json": 1 << 22,
    "outliers.bin": 1 << 22,
    "golden_logits.npy": 1 << 20,
}.items():
    case(f"{member} too large", lambda c, m=member, s=size: packed({**c, m: b" " * (s + 1)}), f"{member} is compressed or too large")
case("manifest.json too large", lambda c: zipped(entries_of({**c, "manifest.json": c["manifest.json"] + b" " * (1 << 20)})), "too large")
for share in (0, 10, 29, 60, 500, 3000, 0.3, 0.5, 0.9, 0.99):
    case(f"cut off at {share}", lambda c, s=share: (whole := zipped(entries_of(c)))[: int(s * len(whole)) if s < 1 else s], NO_ZIP)
case("the last byte cut off", lambda c: zipped(entries_of(c))[:-1], NO_ZIP)
for member in MEMBERS[1:]:
    case(f"{member} altered, checksum right", lambda c, m=member: zipped(entries_of({**c, m: flipped(c[m])})), "does not have the hash")


def directory_size(contents: Contents) -> int:
    return int(struct.unpack("<I", zipped(entries_of(contents))[-10:-6])[0])


def flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def tarball() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../canary.txt"), io.BytesIO())
    return file.getvalue()


FOREIGN = {
    "nothing": b"",
    "a pickle": pickle.dumps(Evil()),
    "a tarball": tarball(),
    "gzip": gzip.compress(bytes(1000)),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(500),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(500),
    "a program": b"\x7fELF" + bytes(500),
    "a script": b"#!/bin/sh\ntouch pwned\n",
    "an empty ZIP": b"PK\5\6" + bytes(18),
    "ZIP64's end": b"PK\6\6" + bytes(52) + b"PK\6\7" + bytes(16) + b"PK\5\6" + b"\0\0\0\0" + b"\xff" * 12 + b"\0\0",
}
for label, data in FOREIGN.items():
    case(f"{label} instead", lambda _, d=data: d, NO_ZIP)
