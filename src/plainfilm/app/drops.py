"""Files that are dropped on the page: each is written below its project, whole or not at all; nothing is ever replaced."""

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from plainfilm.app.jobs import full
from plainfilm.app.places import Places
from plainfilm.serve.http_errors import Refused

MOST_BYTES = 1 << 36  # a file: 64 GB, as an archive may have
PARTIAL = re.compile(r"\.[0-9a-f]{16}\.partial")
_SPARED_BYTES = 1 << 28  # of the disk, for the work itself
_TAKEN_BYTES = 1 << 20


async def drop(places: Places, project: str, name: str, pieces: AsyncIterator[bytes]) -> Path:
    """Write a file as it comes, below WORK/PROJECT/dropped; one that is there already and the same is left as it is.

    Raises
    ------
    Refused
        400 for a name that leads elsewhere, 409 where another file has it, 413 for one that is too long, 507 where the disk is full.
    """
    parts, folder = places.dropped(name), places.project(project) / "dropped"
    target = folder.joinpath(*parts)
    try:
        await run_in_threadpool(_folders, folder, target)
        partial = folder / f".{secrets.token_hex(8)}.partial"
        try:
            digest = await _written(partial, pieces)
            return await run_in_threadpool(_placed, partial, target, digest)
        finally:
            await run_in_threadpool(partial.unlink, missing_ok=True)
    except OSError as error:
        raise full(error, folder) from None


def forget(project: Path, *, is_used: bool) -> None:
    """Remove the copies of what was dropped into a project, and the project if nothing else is in it.

    Raises
    ------
    Refused
        409 where something was made of them, or is going to be.
    """
    folder = project / "dropped"
    if folder.is_symlink() or not folder.is_dir():
        return
    if is_used or any(each != folder for each in project.iterdir()):
        raise Refused(
            409,
            "used",
            f"Expected dropped files that nothing was made of; received those of {project.name}. Remove the project's folder yourself.",
        )
    shutil.rmtree(folder)
    project.rmdir()


def _folders(folder: Path, target: Path) -> None:
    """Make the folders that a file goes into; none of them is a link."""
    for above in [*reversed(target.relative_to(folder.parent).parents)][1:]:
        made = folder.parent / above
        if made.is_symlink() or (made.exists() and not made.is_dir()):
            raise Refused(
                409,
                "taken",
                f"Expected a folder of dropped files; received {made.name}, which is something else. Drop into another project.",
            )
        made.mkdir(parents=True, exist_ok=True)


async def _written(partial: Path, pieces: AsyncIterator[bytes]) -> str:
    digest, length, held = hashlib.sha256(), 0, bytearray()
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - of that mode; written in threads
        async for piece in pieces:
            held += piece
            length += len(piece)
            if length > MOST_BYTES:
                raise Refused(
                    413,
                    "file-too-large",
                    f"Expected a file of at most {MOST_BYTES >> 30} GB; received a longer one. Choose its folder instead.",
                )
            if len(held) >= _TAKEN_BYTES:
                await run_in_threadpool(_write, file.fileno(), bytes(held))
                digest.update(held)
                held.clear()
        await run_in_threadpool(_write, file.fileno(), bytes(held))
        digest.update(held)
    return digest.hexdigest()


def _write(handle: int, content: bytes) -> None:
    if hasattr(os, "fstatvfs"):
        disk = os.fstatvfs(handle)
        if disk.f_bavail * disk.f_frsize < _SPARED_BYTES + len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def _placed(partial: Path, target: Path, digest: str) -> Path:
    try:
        os.link(partial, target)  # unlike a rename, it replaces nothing
    except FileExistsError:
        if target.is_symlink() or _digest(target) != digest:
            raise Refused(409, "taken", f"Expected a name that is free; received {target.name}, which another dropped file has. Drop into another project.") from None  # fmt: skip
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise Refused(
                409, "taken", f"Expected a name that is free; received {target.name}. Drop into another project."
            ) from None
        partial.rename(target)
    return target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
