"""Which large bundles gave their golden answers on this kind of processor already: asking again would cost as much as an answer.

Kept in the cache, by what the answers depend on: network, images, answers, the build of ONNX Runtime, and the kernels that it chooses here.
"""

import contextlib
import hashlib
from pathlib import Path

from plainfilm.data import cache
from plainfilm.data.files import cache_folder
from plainfilm.errors import CacheNotWrittenError

_FOLDER, _VERSION = "golden", 1


def entry(*sha256: str) -> Path:
    """Give the place of the note on a network, its golden images and answers, by their SHA-256 in hex."""
    import onnxruntime as ort

    from plainfilm.model import kernels  # not needed to open a small bundle

    about = f"{_VERSION} {' '.join(sha256)} {ort.get_build_info()} {kernels.kernel_class()}"
    return cache_folder() / _FOLDER / hashlib.sha256(about.encode()).hexdigest()[:32]


def keep(path: Path) -> None:
    """Note that the answers were given; where the cache cannot be written, they are asked for again."""
    with contextlib.suppress(CacheNotWrittenError):
        cache.write(path, b"")
