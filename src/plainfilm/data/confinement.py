"""What a process that decodes gives up, once its libraries are loaded: writing, executing, the network, other processes.

Landlock (Linux 5.13 and later) bounds files, TCP and signals; a filter of system calls (seccomp) the rest on x86-64 and ARM64.
Elsewhere limits of memory and of written bytes alone hold.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

FILES, TCP, PROCESSES, CALLS, MEMORY = "files", "TCP", "other processes", "system calls", "memory"
ALL = (FILES, TCP, PROCESSES, CALLS, MEMORY)  # what `confine` may say that it bounds
KEPT = (  # of the environment: what Python, its libraries and the loader need; no token and no password
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ", "PATH", "SYSTEMROOT", "WINDIR"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "OPENBLAS_CORETYPE"),
    *("PYTHONHOME", "PYTHONPATH", "PYTHONUTF8", "PYTHONHASHSEED", "PYTHONMALLOC", "PYTHONNOUSERSITE"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_MEMORY_BYTES = 4 << 30  # 50 megapixels of 16 bits in double precision, and what they were compressed from
_SYSTEM = (  # what loaders, C libraries and codecs read
    *("/usr", "/lib", "/lib64", "/nix/store", "/gnu/store", "/etc/ld.so.cache", "/etc/localtime"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/dev/null", "/dev/urandom"),
)

# linux/landlock.h
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # how many a version knows, from the first bit on
_ALL_TCP, _ALL_SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals
_NO_NEW_PRIVS = 38

# linux/capability.h
_CAPABILITIES_V3 = 0x20080522
_READING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH

# linux/seccomp.h, linux/filter.h, linux/audit.h
_SET_FILTER, _ON_ALL_THREADS = 1, 1
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER_AT, _MACHINE_AT = 0, 4
_X32 = 0x40000000  # calls of another numbering on x86-64
_MACHINES = {"x86_64": (0xC000003E, 317, 0), "aarch64": (0xC00000B7, 277, 1)}  # audit number, seccomp(2), column below
_DENIED: Mapping[str, tuple[Sequence[int], Sequence[int]]] = {
    "sockets of any kind": ([41, 425], [198, 425]),  # socket, io_uring_setup
    "programs": ([59, 322], [221, 281]),  # execve, execveat
    "other processes": (
        [101, 310, 311, 62, 200, 129, 297, 424, 434, 438],
        [117, 270, 271, 129, 130, 138, 240, 424, 434, 438],
    ),  # ptrace, process_vm_readv, process_vm_writev, kill, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_*
    "rights and times of files": ([90, 91, 268, 452, 92, 93, 94, 260, 132, 235, 261, 280], [52, 53, 452, 55, 54, 88]),
    "attributes of files": ([188, 189, 190, 197, 198, 199, 463, 466], [5, 6, 7, 14, 15, 16, 463, 466]),
    "the kernel": (
        [165, 272, 308, 321, 248, 249, 250, 298, 323],
        [40, 97, 268, 280, 217, 218, 219, 241, 282],
    ),  # mount, unshare, setns, bpf, add_key, request_key, keyctl, perf_event_open, userfaultfd
}


def confine(*, reads_files: bool) -> tuple[str, ...]:
    """Bound this process for good, as far as the system knows how; before it has a second thread.

    Parameters
    ----------
    reads_files
        Whether it may read whatever its user may; else only Python's own folders, and the system's libraries.

    Returns
    -------
    tuple of str
        What is bounded now, out of `ALL`.
    """
    bounded = _bound_resources()
    if sys.platform != "linux":
        return bounded
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        return bounded
    _drop_capabilities(libc)
    return (*_restrict(libc, ["/"] if reads_files else _needed()), *_filter_calls(libc), *bounded)


def environment(*more: str) -> dict[str, str]:
    """Give what a process that parses what strangers made is started with: of the environment `KEPT` and `more`, and one thread."""
    return {name: os.environ[name] for name in (*KEPT, *more) if name in os.environ} | ONE_THREAD


@contextmanager
def memory_within(more_bytes: int) -> Iterator[None]:
    """Let this process take `more_bytes` beside what it has, where the system can tell; a MemoryError beyond."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most if soft == resource.RLIM_INFINITY else min(soft, most), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _bound_resources() -> tuple[str, ...]:
    """Bound memory, write no byte and no core dump: where the system knows how, and has not set narrower bounds itself."""
    try:
        import resource
    except ImportError:  # Windows
        return ()
    most = {resource.RLIMIT_AS: _MEMORY_BYTES, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for kind, value in most.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))
    return (MEMORY,) if 0 < resource.getrlimit(resource.RLIMIT_AS)[1] <= _MEMORY_BYTES else ()


def _needed() -> list[str]:
    """Where modules and libraries may still be loaded from."""
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    ours = str(Path(__file__).parents[1])
    return [path for path in (ours, *sys.path, sys.prefix, sys.base_prefix, *libraries, *_SYSTEM) if path]


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Keep of root's capabilities those alone that let it read files of other users."""
    header, held = struct.pack("=Ii", _CAPABILITIES_V3, 0), ctypes.create_string_buffer(24)
    if not libc.capget(header, held):
        low = [number & _READING for number in struct.unpack("=3I", held.raw[:12])]
        libc.capset(header, struct.pack("=6I", *low, 0, 0, 0))


def _restrict(libc: ctypes.CDLL, readable: Sequence[str]) -> tuple[str, ...]:
    """Restrict files, TCP and signals by Landlock: nothing but reading, below some paths."""
    version = _call(libc, _CREATE_RULESET, None, 0, _VERSION_FLAG)
    if version < 1:
        return ()
    rights = (1 << max(count for since, count in _FILE_RIGHTS.items() if since <= version)) - 1
    scopes = struct.pack("<QQQ", rights, _ALL_TCP, _ALL_SCOPES)[: 8 + 8 * (version >= 4) + 8 * (version >= 6)]
    ruleset = _call(libc, _CREATE_RULESET, scopes, len(scopes), 0)
    if ruleset < 0:
        return ()
    try:
        for path in readable:
            _allow_reading(libc, ruleset, path)
        if _call(libc, _RESTRICT_SELF, ruleset, 0):
            return ()
    finally:
        os.close(ruleset)
    return (FILES, *([TCP] * (version >= 4)), *([PROCESSES] * (version >= 6)))


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    with suppress(OSError):  # it is not there, so there is nothing to read
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rights = _READ_FILE | (_READ_DIR if Path(path).is_dir() else 0)
            _call(libc, _ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("<Qi", rights, opened), 0)
        finally:
            os.close(opened)


def _filter_calls(libc: ctypes.CDLL) -> tuple[str, ...]:
    """Deny what Landlock does not: other sockets, rights and times of files, and what reaches other processes or the kernel."""
    if (machine := platform.machine()) not in _MACHINES or sys.maxsize < 1 << 32:
        return ()
    audit, seccomp, column = _MACHINES[machine]
    denied = [number for numbers in _DENIED.values() for number in numbers[column]]
    tests = [(_IF_AT_LEAST, _X32), *((_IF_EQUAL, number) for number in denied)]
    steps = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_IF_EQUAL, 0, 1 + len(tests) + 1, audit),
        (_LOAD, 0, 0, _NUMBER_AT),
        *((test, len(tests) - place, 0, value) for place, (test, value) in enumerate(tests)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    return () if _call(libc, seccomp, _SET_FILTER, _ON_ALL_THREADS, program) else (CALLS,)


def _call(libc: ctypes.CDLL, number: int, *arguments: bytes | int | None) -> int:
    whole = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return int(libc.syscall(ctypes.c_long(number), *whole))
