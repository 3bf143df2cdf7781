"""Multipart bodies (RFC 7578; for DICOM RFC 2387) -> files and fields in memory, never on the disk, with every length bounded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from plainfilm.serve.http_errors import Refused

_FIELD_BYTES = 1024
_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may hold: `files`; bytes of a file, and of all together; `fields` beside the files."""

    files: int
    file_bytes: int
    request_bytes: int
    fields: int = 16


@dataclass(frozen=True, slots=True)
class Upload:
    """One file: the name that the sender gave, which goes back to the sender alone, and its bytes."""

    name: str
    data: bytearray


@dataclass(slots=True)
class _Part:
    name: str = ""
    file_name: str | None = None
    data: bytearray = field(default_factory=bytearray)


class Form:
    """Takes a body piece by piece; `files` and `fields` are whole after `finish`.

    Raises
    ------
    Refused
        415 for another content type, 400 for a body that is none, 413 beyond a limit; at the piece where it shows.
    """

    kind = "multipart/form-data"
    hint = "curl -F files=@film.png"

    def __init__(self, content_type: str, limits: Limits, take: Callable[[int], None]) -> None:
        kind, options = parse_options_header(content_type)
        if kind != self.kind.encode() or not options.get(b"boundary"):
            raise Refused(
                415,
                "not-multipart",
                f"Expected {self.kind} with a boundary; received another content type. Write for example: {self.hint}",
            )
        self.files: list[Upload] = []
        self.fields: dict[str, str] = {}
        self._limits, self._take, self._part, self._received, self._whole = limits, take, _Part(), 0, False
        self._heading, self._value, self._parts = bytearray(), bytearray(), 0
        callbacks: Any = {
            f"on_{name}": getattr(self, f"_{name}")
            for name in ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "end")
        }
        try:
            self._parser = MultipartParser(options[b"boundary"], callbacks)
        except FormParserError as error:
            raise _broken() from error

    def write(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        self._received += len(piece)
        if self._received > self._limits.request_bytes:
            raise _too_much("a request", self._limits.request_bytes)
        self._take(len(piece))
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _broken() from error

    def finish(self) -> None:
        """Say that the body has ended."""
        if not self._whole:
            raise _broken()

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.files + self._limits.fields:
            raise Refused(
                413,
                "too-many-parts",
                f"Expected at most {self._limits.files} files in one request; received more parts. Send several requests.",
            )
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._heading += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._heading.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._part.name = _text(options.get(b"name", b""))
            if b"filename" in options:
                self._part.file_name = _text(options[b"filename"])
        self._heading, self._value = bytearray(), bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        most = _FIELD_BYTES if part.file_name is None else self._limits.file_bytes
        if len(part.data) + end - start > most:
            raise _too_much("a file" if part.file_name is not None else f"the field {part.name}", most)
        part.data += memoryview(data)[start:end]

    def _part_end(self) -> None:
        part = self._part
        if part.file_name is None:
            if part.name in self.fields:
                raise Refused(
                    400, "twice", f"Expected the field {part.name} once; received it twice. Leave one of them out."
                )
            self.fields[part.name] = _text(bytes(part.data))
            return
        if part.name != "files":
            raise Refused(
                400,
                "unknown-field",
                f"Expected files in the field `files`; received one in `{part.name}`. Rename the field.",
            )
        if len(self.files) == self._limits.files:
            raise Refused(
                413,
                "too-many-files",
                f"Expected at most {self._limits.files} files in one request; received more. Send several requests.",
            )
        self.files.append(Upload(part.file_name, part.data))

    def _end(self) -> None:
        self._whole = True


class Related(Form):
    """As `Form`, for the bodies of DICOMweb (PS3.18 8.6): every part is a file, without a name."""

    kind = "multipart/related"
    hint = "curl -H 'Content-Type: multipart/related; type=\"application/dicom\"; boundary=B' --data-binary @body"

    def _part_begin(self) -> None:
        super()._part_begin()
        self._part = _Part("files", "")

    def _header_end(self) -> None:
        self._heading, self._value = bytearray(), bytearray()


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")[:_NAME_LENGTH]


def _too_much(what: str, most: int) -> Refused:
    size = f"{most // 1_000_000} MB" if most >= 1_000_000 else f"{most} bytes"
    return Refused(413, "too-many-bytes", f"Expected at most {size} in {what}; received more. Send less.")


def _broken() -> Refused:
    return Refused(
        400,
        "broken-body",
        "Expected a whole multipart body; received one that breaks off or does not fit its boundary. Send it again.",
    )
