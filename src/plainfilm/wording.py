"""How a message names an option: as a flag to who typed a command, as an argument to who wrote Python.

Messages are written with flags, `--on-bad skip`, and told as `on_bad="skip"` unless the command line asks for them as they are written.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

SWITCHES = frozenset(
    "add curve dry-run keep-non-radiographs mixed mlflow overwrite prune pseudonyms recalibrate resplit resume separate-sources show-text verify".split()
)
LISTS = {"map": "mapping", "set": "settings"}  # of NAME=VALUE
_VERBS = "ingest|train|audit|relabel|evaluate|compare|tune|demo|drift"
_FLAG = re.compile(
    r"""(?P<tick>`)?(?<![\w-])--(?P<name>[a-z][a-z-]*)
    (?:[ ](?P<value>'[^']*'|[\w./-]+=[\w./-]*\w|[\d.]*\d\b|[\w./-]+[.]\w+|[\w.-]*/[^\s',]*\w|\w+_\w+|[A-Z]+\b|(?:skip|fail|stretch|crop|pad|occlusion)\b|(?<=preset[ ])(?!or\b)[\w-]+))?
    (?P<next>[ ](?=--))?""",
    re.VERBOSE,
)
_COMMAND = re.compile(rf"plainfilm (?P<verb>{_VERBS})(?P<words>(?: (?:[\w./-]+[.]h5|[A-Z]+|--[a-z-]+|skip|fail)\b)+)")
_names_flags = False


@contextmanager
def flags() -> Iterator[None]:
    """Tell messages with flags until the block ends: this process was started by a command."""
    global _names_flags  # who started the process is a fact of the process
    before, _names_flags = _names_flags, True
    try:
        yield
    finally:
        _names_flags = before


def told(message: str) -> str:
    """Give a message with its options named as the caller of this process knows them."""
    return message if _names_flags else in_python(message)


def in_python(message: str) -> str:
    """Give a message with arguments and calls of Python in the place of flags and commands."""
    return _FLAG.sub(_argument, _COMMAND.sub(_call, message))


def _argument(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    after = "," + found["next"] if found["next"] and value else found["next"] or ""
    if name.startswith("no-"):
        return f"{name[3:].replace('-', '_')}=False{f' {value}' if value else ''}{after}"
    if name in SWITCHES:
        return f"{name.replace('-', '_')}=True{f' {value}' if value else ''}{after}"
    argument = LISTS.get(name, name.replace("-", "_"))
    if value is not None:
        return f"{argument}={_value(name, value)}{after}"
    return f"{found['tick']}{argument}{after}" if found["tick"] else f"`{argument}`{after}"


def _value(name: str, text: str) -> str:
    if name in LISTS and "=" in text:
        key, _, value = text.partition("=")
        return f'{{"{key}": {_literal(value)}}}'
    return f'"{text}"' if name.endswith("-column") else _literal(text)  # a column is a text, also by its number


def _literal(text: str) -> str:
    return text if text.startswith("'") or re.fullmatch(r"[\d.]+", text) else f'"{text}"'


def _call(found: re.Match[str]) -> str:
    """Write `plainfilm ingest FOLDER --out NAME.h5` as `plainfilm.ingest("FOLDER", out="NAME.h5")`."""
    words, given = found["words"].split(), list[str]()
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            given.append(_literal(word))
            continue
        takes_value = word[2:] not in SWITCHES and words and not words[0].startswith("--")
        given.append(in_python(f"{word} {words.pop(0)}" if takes_value else word))
    return f"plainfilm.{found['verb']}({', '.join(given)})"
