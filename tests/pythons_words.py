"""Words that Python and libraries have for those who write programs: none may stand in an answer."""

import re

PYTHONS_WORDS = re.compile(
    r"object has no|has no attribute|object is not|not subscriptable|not iterable|not callable|not supported between|"
    r"invalid literal|could not convert|cannot convert|NoneType|list index|index out of|out of bounds|KeyError|\w+Error\b|"
    r"\w+Exception\b|\w+Warning\b|Traceback|File \"|codec can't|surrogates not allowed|Errno|WinError|unhashable|"
    r"expected str, bytes|positional argument|keyword argument|unsupported operand|recursion depth|must be str|must be bytes|"
    r"not enough values|too many values|unpack requires|buffer size|cannot reshape|broadcast|ufunc|dtype\(|numpy\.|ndarray|"
    r"0x[0-9a-f]{6,}|<class|<built-in|lambda|__\w+__|\.py\b|site-packages|FileDataset|ONNXRuntime|InvalidProtobuf|sqlite3\.|sqlalche|"
    r"Background on this|embedded null|math domain|NaN to integer|magic number|pickle|Unpickling|_ssl\.c|libpng|libjpeg|libtiff|"
    r"incorrect header check|while decompressing|Expecting value|Extra data|Unterminated string"
)
