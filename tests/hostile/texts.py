"""JSON that is none, manifests that lie, hashes and signatures that do not fit."""

import json
import pickle
from collections.abc import Callable

from hostile.base import Build, Contents, case, entries_of, packed, told, zipped
from plainfilm.results.manifest import Manifest

# fmt: off
ANY_JSON = "its JSON"
BAD_JSON = {
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": Infinity}',
    "minus infinity": b'{"a": -Infinity}',
    "1e999": b'{"a": 1e999}',
    "a number of 5,000 digits": b'{"a": ' + b"1" * 5000 + b"}",
    "a number of 300 digits": b'{"a": ' + b"1" * 300 + b"}",
    "2 to the 63": b'{"a": 9223372036854775808}',
    "100,000 brackets": b"[" * 100_000,
    "lists 50 deep": b'{"a": ' + b"[" * 50 + b"]" * 50 + b"}",
    "objects 900 deep": b'{"a": ' * 900 + b"1" + b"}" * 900,
    "5,000 deep": b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "40,000 lists": b'{"a": [' + b"[]," * 40_000 + b"[]]}",
    "40,000 objects": b'{"a": [' + b"{}," * 40_000 + b"{}]}",
    "200,000 numbers": b'{"a": [' + b"0," * 200_000 + b"0]}",
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice, deep inside": b'{"a": [{"b": 1, "c": 2, "b": 3}]}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "half a character": b'{"a": "\\ud800"}',
    "a terminal's orders": b'{"a": "\\u001b]0;hello\\u0007"}',
    "a terminal's orders as a key": b'{"\\u009b31m": 1}',
    "a list": b"[]",
    "a number": b"1",
    "nothing": b"",
    "more behind": b"{} {}",
    "a comment": b"{} // hello",
    "a trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "a pickle": pickle.dumps({"a": 1}),
}  # fmt: skip
for label, data in BAD_JSON.items():
    case(f"metrics with {label}", lambda c, d=data: packed({**c, "metrics.json": d}), ANY_JSON)
    case(f"manifest with {label}", lambda c, d=data: zipped(entries_of({**c, "manifest.json": d})), ANY_JSON)
PREPARE = {"image_size": 32, "input_size": 32, "scaling": "0..255", "scale": [1, 1, 1], "offset": [0, 0, 0], "fit": "stretch", "sha256": ""}
LIES: list[tuple[str, dict[str, object], str]] = [
    *((f"version {v!r}", {"version": v}, "names no version") for v in (0, -1, "1", 1.0, True, None, ..., [1])),
    *((f"version {v}", {"version": v}, "Update plainfilm") for v in (Manifest.VERSION + 1, 10**9)),
    *((f"format {v!r}", {"format": v}, "of another kind") for v in ("plainfilm-store", None, 1, ["plainfilm-bundle"], ...)),
    *((f"classes {i}", {"classes": v}, r"classes`|\$\.classes|cannot be printed") for i, v in enumerate([..., [], ["COVID"], "AB", [1, 2], [["a"], ["b"]], {"a": 1, "b": 2}, ["a", ""], ["a", "b\nc"], ["a", "b" * 300]])),
    ("too many classes", {"classes": [str(n) for n in range(2000)], "positive": None}, r"\$\.classes"),
    ("a class twice", {"classes": ["COVID", "COVID"]}, "a class twice"),
    *((f"positive {v!r}", {"positive": v}, r"positive class|positive`|\$\.positive") for v in ("OTHER", None, ..., ["COVID"], 0, True)),
    *((f"temperature {v!r}", {"temperature": v}, r"its manifest: .*temperature") for v in (0, -1, "1", None, True, [1], 1001, ...)),
    *((f"threshold {v!r}", {"threshold": v}, r"its manifest: .*threshold") for v in (-0.1, "high", None, ..., 10**6)),
    *((f"shift {v!r}", {"shift": v}, r"its manifest: .*shift") for v in ("0", None, ..., -2000, {"a": 1})),
    *((f"{name} {v!r}", {name: v}, f"its manifest: .*{name}") for name in ("created", "data_fingerprint", "intended_use") for v in (1, ["a"], None, ...)),
    *((f"versions {v!r}", {"versions": v}, "its manifest: .*versions") for v in ("1", ["1"], {"numpy": 2}, None, ...)),
    *((f"backbone {v!r}", {"backbone": v}, "its manifest: .*backbone") for v in ("a", [], {}, None, ...)),
    *((f"backbone with {v!r}", {"backbone": {"name": "a", "weights_sha256": "b", "features": 5} | v}, r"its manifest: .*backbone\.\w+") for v in ({"name": 1}, {"features": "5"}, {"features": -5}, {"features": 10**9}, {"features": 5.5}, {"weights_sha256": None})),
    *((f"preprocessing {v!r}", {"preprocessing": v}, "its manifest: .*preprocessing") for v in ("a", [1], {}, None, ..., {**PREPARE, "fit": None})),
    *((f"preprocessing with {v!r}", {"preprocessing": PREPARE | v}, r"its manifest: .*preprocessing\.\w+") for v in ({"image_size": "32"}, {"image_size": 0}, {"input_size": 1.5}, {"input_size": 10**8}, {"scaling": None}, {"scale": 1}, {"scale": [1, 2]}, {"scale": [1, 2, "3"]}, {"offset": [True] * 3}, {"fit": 1}, {"fit": "tear"}, {"sha256": 1}, {"crop": ["lungs"]}, {"intensities": 1})),
    ("preprocessing of an endless fit", {"preprocessing": PREPARE | {"fit": "tear" * 1000}}, "its manifest: Invalid enum value"),
    ("preprocessing of another size", {"preprocessing": PREPARE | {"image_size": 64}}, "of another size"),
    *((f"recalibrated {v!r}", {"recalibrated": v}, "its manifest: .*recalibrated") for v in ("yes", {}, {"shift": "1", "radiographs": 3, "data_fingerprint": ""}, {"shift": 1, "radiographs": -3, "data_fingerprint": ""})),
    *((f"prevalence {v!r}", {"prevalence": v}, "prevalence") for v in (0.5, [0.5, 0.5], {}, {"COVID": 0.5}, {"COVID": 0.5, "NORMAL": "0.5"}, {"COVID": 0.5, "NORMAL": -0.5}, {"COVID": 0.5, "NORMAL": True}, {"COVID": 0.5, "NORMAL": 0.5, "X": 0})),
]  # fmt: skip
for label, changes, reason in LIES:
    case(f"manifest: {label}", told(**changes), reason)


def hashes(change: Callable[[dict[str, dict[str, object]]], object]) -> Build:
    def build(contents: Contents) -> bytes:
        manifest = json.loads(contents["manifest.json"])
        change(manifest["members"])
        return zipped(entries_of({**contents, "manifest.json": json.dumps(manifest).encode()}))

    return build


case("a hash is missing", hashes(lambda m: m.pop("card.md")), "does not have the hash")
case("a hash too many", hashes(lambda m: m.update({"x": {"sha256": "", "bytes": 0}})), "does not have the hash")
case("a wrong hash", hashes(lambda m: m["card.md"].update(sha256="0" * 64)), "does not have the hash")
case("a wrong size", hashes(lambda m: m["card.md"].update(bytes=5)), "does not have the hash")
case("a weaker hash", hashes(lambda m: m["card.md"].update(sha1=m["card.md"].pop("sha256"))), r"`sha256` - at `\$\.members")
case("a hash of another type", hashes(lambda m: m["card.md"].update(sha256=7)), r"\$\.members")
case("hashes in a list", lambda c: zipped(entries_of({**c, "manifest.json": json.dumps({**json.loads(c["manifest.json"]), "members": []}).encode()})), r"\$\.members")
case("no hashes", hashes(lambda m: m.clear()), "does not have the hash")
WRONG_METRICS = [
    *((("worth",), v) for v in ("good", None, {}, {"sentence": 1}, ...)),
    (("worth", "level"), "loud" * 1000),
    (("worth", "sentence"), 1),
    *((("audit",), v) for v in (["x"], "x", {"verdict": 1, "sentence": ""})),
    (("audit", "verdict"), "surely fine"),
    (("audit", "reasons"), [1]),
    (("audit", "seconds"), {"probes": -1}),
    *((("splits",), v) for v in ([], None, {}, {"test": 5}, {"train": {}}, ...)),
    (("splits", "test"), None),
    *((("splits", "test", "n"), v) for v in ("many", -1, 1.5, True, ...)),
    *((("splits", "test", "accuracy"), v) for v in (0.9, None, {"value": "high"}, {"value": 1, "low": [], "high": 1}, ...)),
    (("splits", "test", "confusion_matrix"), [[1, "2"]]),
    *((("classes",), v) for v in ("AB", [1, 2], None)),
    (("threshold",), "0.5"),
    (("outliers",), {"refused": 0.1, "promise": ""}),
    (("subgroups",), {}),
    (("subgroups", "sex"), ["F"]),
    (("utility",), {"ppv": 1}),
    (("explanation",), {"faithfulness": "yes"}),
    (("data", "images"), "300"),
    (("versions",), {"numpy": 2}),
    (("recalibrated",), {"shift": None}),
]


def metrics_with(path: tuple[str, ...], value: object) -> Build:
    """Put a value at a path of the metrics, or take away what is there."""

    def build(contents: Contents) -> bytes:
        metrics = json.loads(contents["metrics.json"])
        inside = metrics
        for name in path[:-1]:
            inside = inside[name]
        inside[path[-1]] = value
        if value is ...:
            del inside[path[-1]]
        return packed({**contents, "metrics.json": json.dumps(metrics).encode()})

    return build


for path, value in WRONG_METRICS:
    case(f"metrics: {'.'.join(path)} {str(value)[:40]!r}", metrics_with(path, value), r"its metrics\.json: ")
case("metrics of a newer version", metrics_with(("version",), 2), "Update plainfilm")
case("metrics of another kind", metrics_with(("format",), "plainfilm-audit"), r"its metrics\.json is of another kind")
for value in ("1", True, None, 0):
    case(f"metrics of version {value!r}", metrics_with(("version",), value), r"its metrics\.json names no version")
for member in ("recipe.toml", "card.md"):
    case(f"{member} is no text", lambda c, m=member: packed({**c, m: b"\xff\xfe"}), "is no text")
for size in (0, 63):
    case(f"a signature of {size} bytes", lambda c, s=size: packed({**c, "signature.ed25519": bytes(s)}), "its signature is none")
case("a signature of 65 bytes", lambda c: packed({**c, "signature.ed25519": bytes(65)}), "too large")
