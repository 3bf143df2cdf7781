import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_requests import BOUNDARY, form, part
from plainfilm.serve.http_errors import Refused
from plainfilm.serve.multipart import Form, Limits

TYPE = f"multipart/form-data; boundary={BOUNDARY}"
LIMITS = Limits(files=3, file_bytes=1000, request_bytes=2500, fields=2)
END = f"--{BOUNDARY}--\r\n".encode()
DATA = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"\r", b"\n", b"-", b"\r\n--", BOUNDARY.encode()[:9], b"x"]), max_size=9).map(b"".join),
)


def read(body, *, kind=TYPE, limits=LIMITS, at=None):
    taken = []
    made = Form(kind, limits, taken.append)
    for piece in [body] if at is None else [body[a:b] for a, b in zip([0, *at], [*at, len(body)], strict=True)]:
        made.write(piece)
    made.finish()
    assert sum(taken) == len(body)
    return [(file.name, bytes(file.data)) for file in made.files], made.fields


def refused(body, **more):
    with pytest.raises(Refused) as caught:
        read(body, **more)
    assert re.match(r"Expected .*; received ", str(caught.value))
    return caught.value.status, caught.value.code


@given(st.lists(DATA, max_size=3), st.data())
def test_any_way_of_cutting_a_body_gives_the_same_files(contents, draw):
    files = [(f"{number}.png", data) for number, data in enumerate(contents)]
    body = form(files, prevalence="0.05")
    cuts = draw.draw(st.lists(st.integers(0, len(body)), max_size=12).map(sorted))
    assert read(body, at=cuts) == (files, {"prevalence": "0.05"})
    assert read(body, at=list(range(1, len(body)))) == (files, {"prevalence": "0.05"})


@given(st.lists(DATA, min_size=1, max_size=3), st.data())
def test_a_body_that_breaks_off_is_never_taken_for_a_whole_one(contents, draw):
    body = form([("a.png", data) for data in contents])
    short = body[: draw.draw(st.integers(0, len(body) - len("\r\n") - 1))]
    assert refused(short) == (400, "broken-body")


@given(st.binary(max_size=300))
def test_any_bytes_are_files_or_a_refusal(body):
    try:
        read(body)
    except Refused as error:
        status = error.status
    else:
        status = None
    assert status in {None, 400, 413}


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x", "multipart/form-data; boundary="]
)
def test_another_content_type_is_refused(kind):
    assert refused(b"", kind=kind) == (415, "not-multipart")


def test_an_endless_boundary_is_refused():
    assert refused(b"", kind=f"multipart/form-data; boundary={'x' * 5000}") == (400, "broken-body")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form([("a", bytes(1001))]), "too-many-bytes"),
        (form([("a", bytes(900)), ("b", bytes(900)), ("c", bytes(900))]), "too-many-bytes"),
        (form([("a", b"x")] * 4), "too-many-files"),
        (form([("a", b"x")] * 3, one="1", two="2", three="3"), "too-many-parts"),
        (form([], prevalence="1" * 1025), "too-many-bytes"),
    ],
)
def test_each_limit_holds_and_says_so(body, code):
    assert refused(body) == (413, code)


def test_what_just_fits_is_taken():
    files, fields = [("a", bytes(1000)), ("b", bytes(500)), ("c", b"")], {"one": "1" * 100, "two": "2"}
    assert read(form(files, **fields)) == (files, fields)
    assert read(form([], one="1" * 1024)) == ([], {"one": "1" * 255})  # cut as names are
    whole = form([("a", bytes(1000)), ("b", bytes(1000))])
    assert len(read(whole, limits=replace(LIMITS, request_bytes=len(whole)))[0]) == 2
    assert refused(whole, limits=replace(LIMITS, request_bytes=len(whole) - 1)) == (413, "too-many-bytes")


def test_a_limit_shows_at_the_piece_where_it_is_crossed_and_not_at_the_end():
    made = Form(TYPE, LIMITS, lambda _: None)
    made.write(part(b"")[:-2])
    for _ in range(10):
        made.write(bytes(100))
    with pytest.raises(Refused):
        made.write(b"x")


@pytest.mark.parametrize("wild", [b"X-Long: " + b"y" * 9000, b"\r\n".join([b"X: y"] * 40), b"No colon", b"B\x00d: z"])
def test_wild_heads_of_parts_are_refused(wild):
    assert refused(b"--" + BOUNDARY.encode() + b"\r\n" + wild + b"\r\n\r\nx\r\n" + END)[0] in {400, 413}


def test_a_file_in_another_field_is_refused_and_not_dropped():
    assert refused(part(b"x", name="film") + END) == (400, "unknown-field")


@pytest.mark.parametrize("text", ["0.5", "", "0,5", "ü"])
def test_a_field_comes_back_as_it_was_written(text):
    assert read(form([], prevalence=text)) == ([], {"prevalence": text})


def test_a_field_that_stands_twice_is_refused():
    twice = part(b"0.5", name="prevalence", file_name=None) + part(b"0.01", name="prevalence", file_name=None)
    assert refused(twice + END) == (400, "twice")


def test_names_of_files_are_kept_as_text_and_cut_to_a_length():
    names = ["../../etc/passwd", "<script>alert(1)</script>.png", "Müller^Jörg 1950.dcm"]
    assert [name for name, _ in read(form([(name, b"x") for name in names]))[0]] == names
    ((long, _),), _ = read(form([("x" * 2000, b"x")]))
    assert long == "x" * 255
    ((broken, _),), _ = read(form([("é", b"x")]).replace("é".encode(), b"\xff\x00"))
    assert broken.isprintable() or broken == "�\x00"
