"""What Python gives to plainfilm is held against the types that it states, in one line, before anything happens."""

from typing import get_args, get_type_hints

import numpy as np
import pytest

import plainfilm
from plainfilm.arguments import names_of, prevalence_of, quoted
from plainfilm.data import images
from plainfilm.errors import UsageError
from plainfilm.workflows.options import CompareOptions, IngestOptions, StoringOptions
from plainfilm.workflows.parsing import in_python


def taken(options, name, value):
    return in_python(name, value, get_type_hints(options, include_extras=True)[name])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: plainfilm.ingest("f", "s.h5", overwrite="no"), "`overwrite` to be True or False; received 'no' (str)"),
        (
            lambda: plainfilm.ingest("f", "s.h5", size=None),
            "`size` to be a whole number or 'auto'; received None (NoneType)",
        ),
        (lambda: plainfilm.ingest("f", "s.h5", fit="zoom"), "`fit` to be 'stretch', 'crop' or 'pad'; received 'zoom'"),
        (lambda: plainfilm.ingest(["f", 3], "s.h5"), "`sources` to be a list of texts or paths, a text or a path"),
        (lambda: plainfilm.train(7), "`store` to be a text, a path, an open Store, what ingest returned or a list of"),
        (lambda: plainfilm.train("s.h5", settings=5), "`settings` to be a list of texts, a dictionary or None"),
        (lambda: plainfilm.train("s.h5", epochs=True), "`epochs` to be a whole number or None; received True (bool)"),
        (lambda: plainfilm.train("s.h5", callbacks=print), "`callbacks` to be a list of callbacks of Keras"),
        (lambda: plainfilm.train("s.h5", progress="bar"), "`progress` to be a function of stage, steps done"),
        (lambda: plainfilm.evaluate("m", "f", "o", mapping={"A": 1}), "`mapping` to be a list of texts, a dictionary"),
        (lambda: plainfilm.load(None), "`path` to be a text or a path; received None"),
        (lambda: plainfilm.export("m", "onnx", "m.onnx", overwrite="no"), "`overwrite` to be True or False"),
        (lambda: plainfilm.describe("m", verify="yes"), "`verify` to be True or False"),
        (lambda: plainfilm.Store(3), "`path` to be a text or a path; received 3 (int)"),
    ],
)
def test_a_value_of_another_type_is_one_line(call, told):
    with pytest.raises(UsageError) as refused:
        call()
    assert f"Expected {told}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: plainfilm.train(), r"^train\(\) missing a required argument: 'store'$"),
        (lambda: plainfilm.train("s.h5", epoch=5), r"^train\(\) .* 'epoch'. Did you mean 'epochs'\?$"),
        (lambda: plainfilm.load("m", signature="k"), r"^load\(\) .*'signature'. Did you mean 'require_signature'\?$"),
        (lambda: plainfilm.Store("s.h5", "r"), r"^Store\(\) too many positional arguments$"),
    ],
)
def test_an_argument_that_is_missing_or_unknown_is_told_in_pythons_words(call, told):
    with pytest.raises(TypeError, match=told):
        call()


def test_a_text_in_the_place_of_a_list_is_read_as_the_command_line_reads_it():
    assert taken(StoringOptions, "classes", "COVID, NORMAL") == ["COVID", "NORMAL"]
    assert taken(StoringOptions, "keep", "sex") == ["sex"]
    assert taken(CompareOptions, "recipes", "default,robust") == ["default", "robust"]


def test_what_can_be_gone_through_is_a_list_and_numbers_of_numpy_are_numbers():
    assert taken(IngestOptions, "sources", (name for name in "ab")) == ["a", "b"]
    assert taken(StoringOptions, "classes", np.array(["A", "B"])) == ["A", "B"]
    size = taken(StoringOptions, "size", np.int64(96))
    assert (size, type(size)) == (96, int)
    assert taken(StoringOptions, "resplit", np.True_) is True


def test_choices_are_those_that_are_known():
    assert set(get_args(get_type_hints(StoringOptions)["fit"])) == set(images.FITS)


def test_a_name_in_quotes_may_have_a_comma():
    names = ["A, or B", 'the "C"', "D=E", "F", '5"']
    assert names_of(",".join(map(quoted, names))) == names
    assert (names_of('A, 5" film'), names_of("A,,B")) == (["A", '5" film'], ["A", "", "B"])
    assert prevalence_of('"A, or B"=0.1,C=0.2') == {"A, or B": 0.1, "C": 0.2}


def test_a_prevalence_is_a_share_or_one_a_finding():
    assert prevalence_of("0.09") == 0.09
    assert prevalence_of("Effusion=0.1, Pleural=Thickening=0.02") == {"Effusion": 0.1, "Pleural=Thickening": 0.02}
    for text in ("", "many", "=0.1", "Mass=", "Mass=0.1,0.2", "Mass=0.1,Mass=0.2"):
        with pytest.raises(ValueError):  # noqa: PT011 - float's own words, or ours
            prevalence_of(text)
