"""Runs of bytes as TIFF's PackBits (TIFF 6.0, section 9) and DICOM's RLE (PS3.5 G.3) code them: how long they are."""


def length(part: bytes) -> int | None:
    """Count the bytes that all runs stand for; None where the last one lacks some."""
    at, count = 0, 0
    while at < len(part):
        step, more = _run(part[at])
        at, count = at + step, count + more
    return count if at == len(part) else None


def used(part: bytes, needed: int) -> int:
    """Count the bytes whose runs stand for exactly `needed` bytes; more than there are where none do."""
    at, count = 0, 0
    while at < len(part) and count < needed:
        step, more = _run(part[at])
        at, count = at + step, count + more
    return at if count == needed else len(part) + 1


def _run(first: int) -> tuple[int, int]:
    """Bytes that a run takes, and those that it stands for."""
    if first < 128:
        return first + 2, first + 1
    return (1, 0) if first == 128 else (2, 257 - first)
