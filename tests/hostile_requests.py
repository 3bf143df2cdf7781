"""Hostile requests by kind, from a seed: what goes over one connection, piece by piece, and how the connection is left.

Nothing here waits for the server for long; all of it ends by itself. `benchmarks/serve_hostile.py` sends hundreds of them.
"""

import io
import random
import re
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice

import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from made_files import dataset, dicom_bytes, encapsulated, encoded, film, gray_film
from made_requests import BOUNDARY, form, head, post
from waiting import WAIT_S

MARKER = "Zebra-Quartz"  # in names, headers, paths and tags; must stand in no log
SCRIPT = f"<script>alert('{MARKER}')</script>"
PREDICT, EXPLAIN = "/api/v1/predict", "/api/v1/explain"
TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
KINDS: dict[str, Callable[[random.Random], "Case"]] = {}
HEAVY: set[str] = set()
SIDE = 50_001


@dataclass(frozen=True, slots=True)
class Case:
    """`pieces` are bytes to send and seconds to wait between them; `left` is "read", "open" or "reset"."""

    pieces: Sequence[bytes | float]
    left: str = "read"


@dataclass(frozen=True, slots=True)
class Seen:
    """Statuses of the answers of one connection, and those of them that lack what every answer bears."""

    statuses: tuple[int, ...]
    bare: tuple[bytes, ...] = ()
    seconds: float = 0.0


def kind(make: Callable[[random.Random], Case]) -> Callable[[random.Random], Case]:
    KINDS[make.__name__.strip("_").replace("_", " ")] = make
    return make


def heavy(make: Callable[[random.Random], Case]) -> Callable[[random.Random], Case]:
    HEAVY.add(make.__name__.strip("_").replace("_", " "))
    return kind(make)


def cases(seed: int, n: int, *, with_heavy: bool) -> Iterator[tuple[str, Case]]:
    """Give n cases, of each kind in turn."""
    draw = random.Random(seed)
    names = [name for name in KINDS if with_heavy or name not in HEAVY]
    draw.shuffle(names)
    for name in islice(cycle(names), n):
        yield name, KINDS[name](draw)


def send(case: Case, port: int, *, answer_s: float = WAIT_S) -> Seen:
    """Send one case and read what comes back, until nothing more comes or the connection ends."""
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=answer_s) as link:
        with suppress(OSError):
            for piece in case.pieces:
                if isinstance(piece, float):
                    time.sleep(piece)
                else:
                    link.sendall(piece)
        if case.left == "reset":
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return Seen(())
        data = _read(link, answer_s if case.left == "read" else 0.3)
    heads = re.findall(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n", data, re.DOTALL)
    bare = tuple(top for status, top in heads if status != b"100" and b"x-content-type-options: nosniff" not in top)
    return Seen(tuple(int(status) for status, _ in heads), bare, time.perf_counter() - begun)


def _read(link: socket.socket, wait_s: float) -> bytes:
    """Read the first answer for as long as it takes, and what comes close behind it."""
    data = b""
    with suppress(OSError):
        while True:
            link.settimeout(0.15 if _has_answer(data) else wait_s)
            piece = link.recv(1 << 18)
            if not piece:
                break
            data = data[-(1 << 21) :] + piece
    return data


def _has_answer(data: bytes) -> bool:
    rest = re.sub(rb"^HTTP/1\.1 100 Continue\r\n\r\n", b"", data)
    top, _, body = rest.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", top)
    return length is not None and len(body) >= int(length[1])


# Bodies and lengths


def _garbage(draw: random.Random, most: int = 2000) -> bytes:
    return draw.randbytes(draw.randrange(most))


def _film(draw: random.Random) -> bytes:
    return encoded(Image.fromarray(np.roll(gray_film(200, 180), draw.randrange(180), 1)), draw.choice(["JPEG", "PNG"]))


def _parts(draw: random.Random, *, times: int = 1) -> bytes:
    return form([(f"{MARKER}{draw.randrange(999)}.png", _film(draw)) for _ in range(times)])


@kind
def lying_content_length(draw: random.Random) -> Case:
    body = _parts(draw)
    length = draw.choice(
        [
            0,
            1,
            len(body) - 1,
            len(body) // 2,
            -1,
            "",
            "0x10",
            "1e9",
            f"+{len(body)}",
            f"{len(body)}, {len(body)}",
            "9" * 30,
            2**63,
            2**64,
            f" {len(body)} x",
        ]
    )
    return Case([post(PREDICT, body, {"Content-Length": length})])


@kind
def too_long_content_length_and_no_more(draw: random.Random) -> Case:
    body = _parts(draw)
    return Case([post(PREDICT, body, {"Content-Length": len(body) + draw.randrange(1, 10**9)})], "open")


@kind
def two_content_lengths(draw: random.Random) -> Case:
    body = _parts(draw)
    return Case(
        [head("POST", PREDICT, {**TYPE, "Content-Length": len(body), "content-length": draw.randrange(9999)}) + body]
    )


@kind
def broken_chunks(draw: random.Random) -> Case:
    told = head(
        "POST",
        PREDICT,
        {
            **TYPE,
            "Transfer-Encoding": draw.choice(
                ["chunked", "chunked, chunked", "gzip, chunked", "chunked\x0b", "identity", "xchunked"]
            ),
        },
    )
    size = draw.choice(
        [b"zz", b"-5", b"0x5", b"FFFFFFFFFFFFFFFFFF", b"", b" 5", b"5 ; " + b"x" * 9000, b"5\n", b"\x00"]
    )
    return Case([told, size + b"\r\n" + _garbage(draw, 50) + b"\r\n0\r\n\r\n"])


@kind
def endless_chunk_extension_or_trailer(draw: random.Random) -> Case:
    told = head("POST", PREDICT, {**TYPE, "Transfer-Encoding": "chunked"})
    start, more = draw.choice([(b"1;", b"x" * 9000), (b"0\r\n", b"X-T: y\r\n" * 1000), (b"0\r\nX: ", b"z" * 9000)])
    return Case([told + start, *[more] * 60], "open")


@kind
def smuggling(draw: random.Random) -> Case:
    hidden = head("GET", f"/{MARKER}", {"Host": "evil.example"})
    coding = draw.choice(
        [
            "chunked",
            " chunked",
            "\tchunked",
            "Chunked",
            "chunked\r\nTransfer-Encoding: x",
            "x\r\nTransfer-Encoding: chunked",
        ]
    )
    told = {
        **TYPE,
        "Content-Length": draw.choice([4, 6, len(hidden)]),
        draw.choice(["Transfer-Encoding", "Transfer-Encoding ", "transfer_encoding", "Transfer\x00-Encoding"]): coding,
    }
    return Case([head("POST", PREDICT, told) + b"0\r\n\r\n" + hidden])


@kind
def a_get_with_a_body(draw: random.Random) -> Case:
    body = head("GET", f"/{MARKER}")
    return Case([head("GET", "/api/v1/health", {"Content-Length": len(body)}) + body + head("GET", "/api/v1/ready")])


# Heads


@kind
def header_flood(draw: random.Random) -> Case:
    if draw.random() < 0.5:
        lines = b"".join(b"X-%d: %s\r\n" % (n, MARKER.encode()) for n in range(draw.choice([200, 3000, 40_000])))
    else:
        lines = b"X: " + b"y" * draw.choice([9000, 70_000, 900_000]) + b"\r\n"
    return Case([b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lines + b"\r\n"])


@kind
def wild_bytes_in_a_head(draw: random.Random) -> Case:
    wild = draw.choice(
        [b"\x00", b"\r", b"\n", b"\x0b", b"\xff", b"\x7f", b"\x80\xff", b": :", b"\r\n ", b"\r\n\tfolded"]
    )
    line = draw.choice(
        [b"X-A" + wild + b"B: 1", b"X: a" + wild + b"b", wild + b"X: 1", b"Host" + wild + b": 127.0.0.1"]
    )
    return Case([b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + line + b"\r\n\r\n"], "open")


@kind
def random_bytes(draw: random.Random) -> Case:
    return Case([_garbage(draw, 5000) + b"\r\n\r\n"], "open")


@kind
def random_bytes_after_a_method(draw: random.Random) -> Case:
    return Case(
        [draw.choice([b"GET ", b"POST /", b"HEAD / HTTP/", b"PUT / HTTP/1.1\r\n"]) + _garbage(draw) + b"\r\n\r\n"],
        "open",
    )


@kind
def other_protocols(draw: random.Random) -> Case:
    return Case([draw.choice([
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9) * 20, b"GET /\r\n", b"GET / HTTP/0.9\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n",
        b"GET / HTTP/1.1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00PLAINFILM",
        b"SSH-2.0-x\r\n", b"EHLO x\r\n", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + MARKER.encode() + b"\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET http://127.0.0.1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n", b"M-SEARCH * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ])], "open")  # fmt: skip


@kind
def websocket_and_other_upgrades(draw: random.Random) -> Case:
    told = {"Upgrade": draw.choice(["websocket", "h2c", "TLS/1.0", MARKER]), "Connection": "Upgrade, HTTP2-Settings", "Sec-WebSocket-Version": 13,
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "HTTP2-Settings": "AAMAAABkAAQAAP__"}  # fmt: skip
    method, path = draw.choice([("GET", "/"), ("GET", "/api/v1/health"), ("POST", PREDICT)])
    return Case([head(method, path, told), b"\x81\x85" + bytes(300)], "open")


@kind
def forged_host(draw: random.Random) -> Case:
    host = draw.choice(
        [
            "evil.example",
            f"{MARKER}.example",
            "127.0.0.1.nip.io",
            "localhost.evil.example",
            "127.0.0.1@evil",
            "[::ffff:127.0.0.1]",
            "",
            "127.0.0.1:99999999",
            "0x7f.1",
            "localhost%00.evil",
            "127.0.0.1, evil",
        ]
    )
    return Case(
        [head(draw.choice(["GET", "POST", "HEAD"]), draw.choice(["/", PREDICT, "/api/v1/model"]), {"Host": host})]
    )


@kind
def forged_origin(draw: random.Random) -> Case:
    origin = draw.choice(
        ["null", "https://evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.1:1", "file://", SCRIPT]
    )
    return Case([post(PREDICT, _parts(draw), {"Origin": origin, "Sec-Fetch-Site": "cross-site"})])


@kind
def headers_that_stand_twice(draw: random.Random) -> Case:
    name = draw.choice(
        [
            "Host: 127.0.0.1",
            "Origin: http://127.0.0.1",
            "Authorization: Bearer x",
            "X-Request-ID: abcdefgh",
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        ]
    )
    return Case([post(PREDICT, _parts(draw))[:-1].replace(b"\r\n", f"\r\n{name}\r\n{name}\r\n".encode(), 1) + b"\n"])


@kind
def waiting_to_be_told_to_send(draw: random.Random) -> Case:
    told = {
        **TYPE,
        "Expect": draw.choice(["100-continue", "100-CONTINUE", "200-ok", MARKER]),
        "Content-Length": draw.choice([0, 500, 10**9]),
    }
    return Case([head("POST", draw.choice([PREDICT, "/nothing"]), told), 0.1, _garbage(draw, 400)], "open")


@kind
def huge_numbers(draw: random.Random) -> Case:
    number = draw.choice(
        ["9" * 400, "1e308", "-1e400", "0." + "0" * 300 + "1", "nan", "inf", "1_0", "٠٫٥", "0x1p-3", "1" * 1000]
    )
    return Case(
        [
            post(
                PREDICT,
                form([("a.png", _film(draw))], prevalence=number),
                {"X-Request-ID": "9" * 5000, "Range": f"bytes=0-{'9' * 40}"},
            )
        ]
    )


# Paths and names

TRAVERSAL = ["../../../../etc/passwd", "..\\..\\windows\\win.ini", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "..%c0%af..%c0%afetc/passwd", "/etc/passwd", "file:///etc/passwd",
             "....//....//etc/passwd", "%00", "page.css%00.png", ".", "..", "con.png", "a" * 5000, "\u202egnp.exe", "%252e%252e%252f", ";/../web.py", "?../", "{name}", "%0d%0aX-A:%20b"]  # fmt: skip


@kind
def path_traversal(draw: random.Random) -> Case:
    path = (
        draw.choice(["/page/", "/", "/api/v1/", "//", "/page/../", "/dicom-web/studies/"])
        + draw.choice(TRAVERSAL)
        + draw.choice(["", f"?{MARKER}", "#"])
    )
    return Case([b"GET " + path.encode("utf-8") + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])


@kind
def names_of_files(draw: random.Random) -> Case:
    names = draw.sample(
        [
            *TRAVERSAL,
            SCRIPT,
            f"{SCRIPT}.png",
            "'; DROP TABLE films; --",
            "$(touch /tmp/x)",
            "`id`",
            "a\tb",
            "=cmd|' /C calc'!A0",
            "\u0000",
            "x" * 3000,
            "{{7*7}}",
            "${jndi:ldap://127.0.0.1/}",
        ],
        4,
    )
    return Case([post(PREDICT, form([(name, _film(draw)) for name in names]))])


@kind
def script_in_a_field(draw: random.Random) -> Case:
    return Case(
        [
            post(
                draw.choice([PREDICT, EXPLAIN]),
                form(
                    [("a.png", _film(draw))],
                    **draw.choice(
                        [
                            {"prevalence": SCRIPT},
                            {SCRIPT: "1"},
                            {"__proto__": "1"},
                            {"files": "x", "prevalence": "1"},
                            {"prevalence": ""},
                        ]
                    ),
                ),
            )
        ]
    )


@kind
def script_in_the_tags_of_a_dicom_file(draw: random.Random) -> Case:
    made = dataset(
        film(200, 180),
        PatientName=SCRIPT,
        PatientID=SCRIPT,
        StudyDescription=SCRIPT,
        Manufacturer=SCRIPT[:64],
        ViewPosition="AP",
        SeriesDescription="\x1b[2J" + MARKER,
    )
    return Case([post(draw.choice([PREDICT, EXPLAIN]), form([(f"{SCRIPT}.dcm", dicom_bytes(made))]))])


# Forms


@kind
def ten_thousand_parts(draw: random.Random) -> Case:
    return Case(
        [
            post(
                PREDICT,
                form(
                    [(f"{n}.png", b"x") for n in range(10_000)] if draw.random() < 0.5 else [],
                    **{f"f{n}": "1" for n in range(10_000)},
                ),
            )
        ]
    )


@kind
def broken_boundaries(draw: random.Random) -> Case:
    told = draw.choice(["", BOUNDARY * 40, "-", "--", "\x7f", " ", '"unclosed', "a;boundary=b", "x" * 10_000, "é"])
    return Case([post(PREDICT, _parts(draw), {"Content-Type": f"multipart/form-data; boundary={told}"})])


@kind
def nested_and_missing_boundaries(draw: random.Random) -> Case:
    inner = b'--inner\r\nContent-Disposition: form-data; name="files"; filename="b"\r\n\r\nx\r\n--inner--\r\n'
    head_of_inner = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n'.encode()
    whole = _parts(draw)
    body = draw.choice([
        head_of_inner + inner + f"\r\n--{BOUNDARY}--\r\n".encode(), inner, whole[:-8], whole[10:], whole + whole, b"\r" * 20_000 + whole, whole + b"\r\n" * 20_000,
        f"--{BOUNDARY}--\r\n".encode(), f"--{BOUNDARY}".encode() * 2000, b"", b"\r\n--" * 9000, whole.replace(b"\r\n", b"\n"), whole.replace(b"form-data", MARKER.encode()),
    ])  # fmt: skip
    return Case([post(PREDICT, body)])


@kind
def wild_heads_of_parts(draw: random.Random) -> Case:
    line = draw.choice([b"X: " + b"y" * 100_000, b"X: y\r\n" * 5000 + b"X: y", b"no colon", b"\x00: x", b'Content-Disposition: form-data; name="files"; filename="' + b"\\" * 3000,
                        b"Content-Disposition: form-data" + b";" * 4000, b"Content-Disposition: form-data; filename*=utf-8''%e2%82%ac", b"Content-Transfer-Encoding: base64", b"Content-Disposition: attachment"])  # fmt: skip
    return Case([post(PREDICT, f"--{BOUNDARY}\r\n".encode() + line + f"\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode())])


@kind
def altered_bodies(draw: random.Random) -> Case:
    body = bytearray(_parts(draw, times=2))
    for _ in range(draw.randrange(1, 40)):
        body[draw.randrange(len(body))] = draw.randrange(256)
    return Case([post(PREDICT, bytes(body))])


@kind
def other_content_types(draw: random.Random) -> Case:
    told = draw.choice(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/related; boundary=x",
            "multipart/form-data",
            "text/xml",
            MARKER,
            "",
            "multipart/form-data; charset=utf-7; boundary=" + BOUNDARY,
        ]
    )
    return Case(
        [
            post(
                PREDICT,
                draw.choice(
                    [b"{" * 9000, _parts(draw), b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", b""]
                ),
                {"Content-Type": told},
            )
        ]
    )


# Time


@kind
def truncated_bodies(draw: random.Random) -> Case:
    whole = post(PREDICT, _parts(draw))
    return Case([whole[: draw.randrange(100, len(whole))]], draw.choice(["open", "reset"]))


@kind
def a_reset_in_the_middle(draw: random.Random) -> Case:
    whole = post(draw.choice([PREDICT, EXPLAIN]), _parts(draw, times=draw.choice([1, 8])))
    return Case([whole[: draw.choice([1, 40, 400, len(whole)])], draw.choice([0.0, 0.02])], "reset")


@kind
def connections_that_are_opened_and_left(draw: random.Random) -> Case:
    return Case([], draw.choice(["open", "reset"]))


@kind
def slow_heads(draw: random.Random) -> Case:
    return Case([piece for byte in b"GET / HTTP/1.1\r\nX" for piece in (bytes([byte]), draw.random() / 40)], "open")


@kind
def slow_bodies(draw: random.Random) -> Case:
    whole = post(PREDICT, _parts(draw))
    pieces: list[bytes | float] = [whole[:-40]]
    for byte in whole[-40:]:
        pieces += [bytes([byte]), draw.random() / 80]
    return Case(pieces)


@heavy
def very_slow_heads(_: random.Random) -> Case:
    return Case([b"GET / HTTP/1.1\r\n", *[b"X", 1.0] * 13], "open")


@kind
def pipelined_thousands(draw: random.Random) -> Case:
    return Case(
        [head("GET", draw.choice(["/api/v1/health", f"/{MARKER}", "/api/v1/metrics"])) * draw.choice([1000, 4000])],
        "open",
    )


@kind
def pipelined_behind_a_film(draw: random.Random) -> Case:
    return Case([post(PREDICT, _parts(draw)) + head("GET", "/api/v1/health") * 50 + b"GET /half"])


# Files that are bombs, or damaged


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    made = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + made


def _ihdr(width: int, height: int, depth: int = 8, colour: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


@cache
def zeros(length: int) -> bytes:
    """A zlib stream of so many megabytes of zeros, made quickly: one flushed block again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * length + zlib.compressobj(9, zlib.DEFLATED, -15).flush()


@cache
def nested(depth: int) -> bytes:
    data = b"\x78\xda" + zeros(300) + b"\0\0\0\0"
    for _ in range(depth):
        data = zlib.compress(data, 9)
    return data


def _tiff(width: int, height: int) -> bytes:
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, width * height % 2**32),
    ]
    return (
        b"II*\0"
        + struct.pack("<IH", 8, len(tags))
        + b"".join(struct.pack("<HHII", tag, form_, 1, value) for tag, form_, value in tags)
        + bytes(64)
    )


def _jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.fromarray(gray_film()), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@cache
def _many_scans(side: int, scans: int) -> bytes:
    data = encoded(Image.fromarray(gray_film(side, side)), "JPEG", progressive=True, quality=5)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def _webp(width: int, height: int) -> bytes:
    body = (
        b"VP8X" + struct.pack("<IB3x", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _deflated(megabytes: int) -> bytes:
    made = dataset(film(64, 48))
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = dicom_bytes(made)
    start = 144 + struct.unpack("<I", data[140:144])[0]
    return data[:start] + zeros(megabytes)


def _huge_dicom() -> bytes:
    return dicom_bytes(dataset(film(64, 48), Rows=SIDE, Columns=SIDE))


BOMBS: dict[str, Callable[[], bytes]] = {
    "png": lambda: _png(_ihdr(SIDE, SIDE), (b"IDAT", zlib.compress(bytes(9999))), (b"IEND", b"")),
    "png inflates": lambda: _png(_ihdr(100, 100), (b"IDAT", b"\x78\xda" + zeros(2000)), (b"IEND", b"")),
    "png 16 bit": lambda: _png(_ihdr(7000, 7000, 16, 6), (b"IDAT", b"\x78\xda" + zeros(400)), (b"IEND", b"")),
    "png text": lambda: _png(_ihdr(99, 99), *[(b"zTXt", b"a\0\0\x78\xda" + zeros(200))] * 20, (b"IDAT", zlib.compress(bytes(9999))), (b"IEND", b"")),
    "png profile": lambda: _png(_ihdr(99, 99), (b"iCCP", b"a\0\0\x78\xda" + zeros(1000)), (b"IDAT", zlib.compress(bytes(9999))), (b"IEND", b"")),
    "png nested": lambda: _png(_ihdr(99, 99), (b"IDAT", nested(4)), (b"IEND", b"")),
    "png chunks": lambda: _png(_ihdr(99, 99), *[(b"tEXt", b"a\0b")] * 100_000, (b"IEND", b"")),
    "jpeg": lambda: _jpeg_of(SIDE, SIDE),
    "jpeg thin": lambda: _jpeg_of(65_535, 64),
    "jpeg scans": lambda: _many_scans(64, 5000),
    "gif": lambda: b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0x80, 0, 0) + bytes(6) + b"," + struct.pack("<HHHHB", 0, 0, SIDE, SIDE, 0) + b"\x08\x01\x00\x00;",
    "gif frames": lambda: encoded(Image.fromarray(gray_film()), "GIF")[:-1] + b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0" * 50_000 + b";",
    "tiff": lambda: _tiff(SIDE, SIDE),
    "tiff pages": lambda: encoded(Image.fromarray(gray_film()), "TIFF")[:4] + struct.pack("<I", 8) + b"\0\0" + struct.pack("<I", 8),
    "webp": lambda: _webp(1 << 24, 1 << 24),
    "bmp": lambda: b"BM" + struct.pack("<IHHI", 999, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0),
    "dicom": _huge_dicom,
    "dicom deflated": lambda: _deflated(3000),
    "dicom nested": lambda: dicom_bytes(dataset(film(64, 48)))[:-6144] + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20_000,
    "dicom length": lambda: dicom_bytes(dataset(film(64, 48))).replace(b"OW\0\0" + struct.pack("<I", 6144), b"OW\0\0\xfe\xff\xff\xff"),
}  # fmt: skip
WORST: dict[str, Callable[[], bytes]] = {"jpeg scans of a large film": lambda: _many_scans(4000, 2000)}


@kind
def bombs(draw: random.Random) -> Case:
    name = draw.choice(list(BOMBS))
    return Case([post(draw.choice([PREDICT, EXPLAIN]), form([(f"{MARKER} {name}", BOMBS[name]())]))])


@heavy
def bombs_that_take_long(draw: random.Random) -> Case:
    return Case([post(PREDICT, form([(name, made()) for name, made in WORST.items()]))])


@cache
def _compressed() -> dict[str, bytes]:
    """A DICOM file of each lossless syntax that is not Deflated."""
    from pydicom import dcmread

    found = {}
    for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        made = dataset(film(200, 180))
        made.compress(syntax)
        found[syntax.name] = dicom_bytes(made)
    found["JPEG lossless"] = _lossless_jpeg()
    baseline = encoded(Image.fromarray(gray_film(200, 180)), "JPEG")
    found["JPEG"] = encapsulated(dataset(gray_film(200, 180), bits=8), JPEGBaseline8Bit, baseline)
    for data in found.values():
        assert dcmread(io.BytesIO(data)).Rows == 200
    return found


def _lossless_jpeg() -> bytes:
    """A lossless JPEG (process 14) of one value, by hand: enough for a decoder to begin with."""
    table = bytes([0xFF, 0xC4, 0, 31, 0, *[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], *range(12)])
    frame = b"\xff\xc3" + struct.pack(">HBHHB", 11, 16, 200, 180, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x01\x00\x00" + bytes(200 * 180 // 4) + b"\xff\xd9"
    frame_data = b"\xff\xd8" + table + frame + scan
    made = dataset(film(200, 180))
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    made.PixelData = encapsulate([frame_data])
    made["PixelData"].VR = "OB"
    return dicom_bytes(made)


@kind
def damaged_dicom_files(draw: random.Random) -> Case:
    files = []
    for name, whole in _compressed().items():
        data = bytearray(whole)
        pixels = data.rindex(b"\xe0\x7f\x10\x00")
        for _ in range(draw.randrange(1, 30)):
            data[draw.randrange(pixels + 12, len(data))] = draw.randrange(256)
        del data[draw.choice([len(data), draw.randrange(pixels, len(data))]) :]
        files.append((f"{name}.dcm", bytes(data)))
    return Case([post(PREDICT, form(files))])


@kind
def damaged_pictures(draw: random.Random) -> Case:
    files = []
    for name in ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"):
        data = bytearray(encoded(Image.fromarray(gray_film(200, 180)), name))
        for _ in range(draw.randrange(1, 30)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        files.append((f"{name} {MARKER}", bytes(data[: draw.choice([len(data), draw.randrange(len(data))])])))
    return Case([post(PREDICT, form(files))])
