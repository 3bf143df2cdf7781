"""How much may lie in a spool, and whether more can be written there."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plainfilm.errors import PlainfilmError
from plainfilm.reasons import reason_of
from plainfilm.serve.dicom.disk import write

_PROBE = bytes(1 << 16)


class SpoolFullError(PlainfilmError):
    """No room for another instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """How much may lie in a spool, answers that peers refused included: instances, bytes, and bytes left free on its disk."""

    instances: int = 10_000
    held_bytes: int = 50_000_000_000
    free_bytes: int = 1_000_000_000

    def check(self, folder: Path, sizes: Sequence[int], size: int) -> None:
        """Raise SpoolFullError where things of `sizes` bytes leave no room for one of `size`."""
        count, held = len(sizes), sum(sizes)
        free = shutil.disk_usage(folder).free
        if count >= self.instances or held + size > self.held_bytes or free - size < self.free_bytes:
            raise SpoolFullError(
                f"Expected room for {size} bytes; received a spool of {count} entries, {held} bytes and {free} bytes free on its disk. "
                "See whether the peers take their answers, and empty its folder failed."
            )


def unwritable(spool: Path) -> str:
    """Say why nothing can be written; nothing where a file of 64 kB just could be."""
    probe = spool / "partial" / "probe"
    if lost := [name for name in ("received", "outbox") if not (spool / name).is_dir()]:
        return f"the spool has lost its folder {lost[0]}"
    try:
        write(probe, [_PROBE], is_new=False)
        probe.unlink(missing_ok=True)
    except OSError as error:
        return f"the spool cannot be written ({reason_of(error)})"
    return ""
