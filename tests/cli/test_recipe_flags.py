import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from plainfilm.cli.application import app
from plainfilm.errors import UsageError
from plainfilm.model import recipes
from plainfilm.model.recipe_schema import KEYS
from plainfilm.workflows.options import RecipeOptions
from plainfilm.workflows.parsing import settings_of

OWN = {*RecipeOptions.__slots__}  # without what it inherits
FLAGGED = {key.flag: key for key in KEYS.values() if key.flag}
VALUES = {  # for each flag, as typed, and as a recipe holds it
    "--backbone": ("mobilenet", "mobilenet"),
    "--weights": ("w.h5", "w.h5"),
    "--input-size": ("96", 96),
    "--epochs": ("5", 5),
    "--batch-size": ("8", 8),
    "--optimizer": ("sgd", "sgd"),
    "--learning-rate": ("1e-4", 1e-4),
    "--loss": ("mean_squared_error", "mean_squared_error"),
    "--class-weight": ("by source", "by source"),
    "--augment": ("4", 4),
    "--finetune": ("2", "2"),
    "--threshold": ("sensitivity:0.95", "sensitivity:0.95"),
    "--sensitivity": ("0.95", 0.95),
    "--npv": ("0.99", 0.99),
    "--seed": ("7", 7),
}
BESIDE = {
    "--sensitivity": {"evaluation.npv": 0.9},
    "--npv": {"evaluation.sensitivity": 0.9},
}  # what a flag cannot do without


def parsed(*words):
    """Flags and texts of --set, as `train` gets them."""
    bound = app.parse_args(["train", "s.h5", "--out", "r", *words], exit_on_error=False, print_error=False)[1]
    options = bound.arguments["options"]
    return settings_of(options.settings) | options.of_recipe()


@pytest.fixture
def shown(call):
    """Give what --help says of each flag, in one line each."""
    out = call("train", "--help")[1]
    text = " ".join(line.strip("│╭╰─╮╯ *") for line in out.splitlines())
    return {found.split()[0]: found for found in re.split(r" (?=--[a-z-]+ [A-Z]+)", re.sub(r"\s+", " ", text))}


def test_flags_of_the_schema_are_those_of_the_command():
    assert set(VALUES) == set(FLAGGED)
    names = [flag.removeprefix("--").replace("-", "_") for flag in FLAGGED]
    assert set(names) == OWN


@pytest.mark.parametrize("name", sorted(OWN))
def test_an_option_of_python_has_the_type_of_its_key(name):
    key = FLAGGED["--" + name.replace("_", "-")]
    *taken, _ = [kind for kind in typing.get_args(typing.get_type_hints(RecipeOptions)[name]) if kind is not Path]
    assert taken == [typing.Literal[key.choices] if key.choices else key.kind]


@pytest.mark.parametrize("flag", VALUES)
def test_a_flag_sets_its_key_in_the_type_of_the_key(flag):
    text, value = VALUES[flag]
    found = parsed(flag, text)
    assert found == {FLAGGED[flag].key: value}
    assert type(found[FLAGGED[flag].key]) is FLAGGED[flag].kind
    more = BESIDE.get(flag, {})
    assert recipes.load("default", found | more) == recipes.load("default", {FLAGGED[flag].key: text} | more)


def test_nothing_given_sets_nothing_and_a_flag_wins_over_set():
    assert parsed() == {}
    assert parsed("--set", "training.epochs=3", "--set", "head.layers=dense 8") == {
        "training.epochs": "3",
        "head.layers": "dense 8",
    }
    assert parsed("--set", "training.epochs=3", "--epochs", "5") == {"training.epochs": 5}
    assert parsed("--seed", "0", "--augment", "0") == {"seed": 0, "augmentation.views": 0}
    with pytest.raises(UsageError, match="Expected settings="):
        settings_of(["epochs"])


@pytest.mark.parametrize("flag", FLAGGED)
def test_help_shows_meaning_key_range_and_default(flag, shown):
    key = FLAGGED[flag]
    assert shown[flag].split()[1] == ("CHOICE" if key.choices else {int: "INT", float: "FLOAT", str: "STR"}[key.kind])
    assert key.meaning.replace("`", "") in shown[flag]
    about = re.search(r"\[([^\]]*)\]", shown[flag])[1]
    assert about.startswith(key.key)
    assert key.allowed in about
    assert about.endswith(f"default {key.shown_default}") or key.default == ""


def test_help_says_a_flag_in_a_sentence_and_a_bracket(shown):
    assert (
        shown["--epochs"]
        == "--epochs INT Passes over the training set. 0: as many as make 1,000 steps, from 20 to 200. [training.epochs: 0 to 10,000; default 20]"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--epochs", "many"), "Expected training.epochs to be a whole number; received 'many'. Correct the value."),
        (("--epochs", ""), "Expected training.epochs to be a whole number; received ''. Correct the value."),
        (("--epochs", "2.5"), "Expected training.epochs to be a whole number; received 2.5. Correct the value."),
        (("--epochs", "-1"), "Expected training.epochs from 0 to 10,000; received -1. Set it within that range."),
        (("--learning-rate", "fast"), "Expected training.learning_rate to be a number; received 'fast'. Correct the value."),
        (("--learning-rate=-inf",), "Expected training.learning_rate from 1e-8 to 10; received -inf. Set it within that range."),
        (("--input-size", "4096"), "Expected backbone.input_size from 0 to 2,048; received 4,096. Set it within that range."),
        (("--loss", "hinge"), "Expected training.loss to be crossentropy or mean_squared_error; received hinge. Set one of them."),
        (("--finetune", "few"), "Expected finetuning.blocks to be none, all or a number of blocks; received 'few'. Set one of them."),
        (("--threshold", "yuoden"), "Expected evaluation.threshold to be a number from 0 to 1, youden, accuracy, sensitivity:0.95 or "
                                    "specificity:0.95; received 'yuoden'. Did you mean youden?"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_one_line_whatever_else_is_wrong(words, sentence, call, tmp_path):
    code, out, err = call("train", "none.h5", "--out", "r", *words)
    assert (code, out, err) == (2, "", f"plainfilm: {sentence}\n")
    assert list(tmp_path.iterdir()) == []


def test_values_are_checked_before_anything_heavy_is_loaded():
    code = (
        "import sys; from plainfilm.cli import main; sys.argv = ['plainfilm', 'train', 's.h5', '--out', 'r', '--epochs', '-1']\n"
        "try: main()\nfinally: print(sorted({'keras', 'numpy', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "[]\n")
    assert "received -1" in done.stderr
