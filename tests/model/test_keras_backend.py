"""Each case in a process of its own, since Keras is imported once."""

import json
import os
import subprocess
import sys

import pytest

from hidden import HIDING
from plainfilm.data import cache

REPORT = """
import json, os
from plainfilm.model import keras_backend
keras = keras_backend.load({given})
heavy = sorted({{"jax", "tensorflow", "torch"}} & set(sys.modules))
print(json.dumps([keras.backend.backend(), keras_backend.choose(), os.environ.get("KERAS_BACKEND"), heavy]))
"""


def run(code, folder, blocked=(), **environment):
    own = {name: value for name, value in os.environ.items() if name not in {"KERAS_BACKEND", "KERAS_HOME"}}
    own["HIDDEN"] = " ".join([*blocked, "sklearn"])
    given = {**own, "HOME": str(folder), "PLAINFILM_CACHE": str(folder), "JAX_PLATFORMS": "cpu", **environment}
    return subprocess.run([sys.executable, "-c", HIDING + code], env=given, capture_output=True, text=True, check=False)


def loaded(folder, given="", blocked=(), before="", **environment):
    done = run(before + REPORT.format(given=given), folder, blocked, **environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def settings(folder, text):
    (folder / ".keras").mkdir()
    (folder / ".keras" / "keras.json").write_text(text)


needs_both = pytest.mark.skipif("not all(map(__import__('importlib.util').util.find_spec, ('jax', 'tensorflow')))")


def test_heads_are_trained_on_jax_and_tensorflow_is_not_even_imported(tmp_path):
    assert loaded(tmp_path) == ["jax", "jax", None, ["jax"]]


@needs_both
@pytest.mark.slow
def test_a_processor_fine_tunes_on_tensorflow_where_it_is(tmp_path):
    assert loaded(tmp_path, "finetunes=True")[:3] == ["tensorflow", "tensorflow", None]


@pytest.mark.slow
def test_a_processor_fine_tunes_on_jax_without_tensorflow(tmp_path):
    assert loaded(tmp_path, "finetunes=True", blocked=["tensorflow"])[:2] == ["jax", "jax"]


@needs_both
@pytest.mark.slow
def test_tensorflow_stands_in_for_a_jax_that_is_missing(tmp_path):
    assert loaded(tmp_path, blocked=["jax", "jaxlib"])[0] == "tensorflow"


@needs_both
@pytest.mark.slow
def test_the_variable_of_keras_is_obeyed_and_stays_as_it_was(tmp_path):
    assert loaded(tmp_path, KERAS_BACKEND="tensorflow")[:3] == ["tensorflow", "tensorflow", "tensorflow"]


@needs_both
@pytest.mark.slow
def test_what_only_tensorflow_does_gets_it(tmp_path):
    assert loaded(tmp_path, 'needed="tensorflow"')[0] == "tensorflow"


@needs_both
@pytest.mark.slow
def test_a_keras_that_the_caller_has_imported_stays_as_it_is(tmp_path):
    before = "import os; os.environ['KERAS_BACKEND'] = 'tensorflow'; import keras; del os.environ['KERAS_BACKEND']\n"
    assert loaded(tmp_path, before=before)[:3] == ["tensorflow", "tensorflow", None]


@pytest.mark.parametrize("text", ['{"backend": "tensorflow"}', "no JSON", "[]", '{"backend": 3}'])
def test_a_settings_file_that_names_tensorflow_or_nothing_counts_for_nothing(text, tmp_path):
    settings(tmp_path, text)
    code = "from plainfilm.model import keras_backend; print(keras_backend.choose())"
    assert run(code, tmp_path).stdout.strip() == "jax"


def test_a_settings_file_that_names_another_backend_is_obeyed_even_for_fine_tuning(tmp_path):
    settings(tmp_path, '{"backend": "torch"}')
    code = "from plainfilm.model import keras_backend; print(keras_backend.choose(finetunes=True))"
    assert run(code, tmp_path).stdout.strip() == "torch"


@pytest.mark.parametrize(
    ("blocked", "variable", "said"),
    [
        (["keras", "jax", "tensorflow"], "", r"Expected the package keras for training and backbones; it is not installed. Install it with: pip install 'plainfilm[train]'"),
        (["jax", "tensorflow"], "", r"Expected the package jax for training and backbones; it is not installed. Install it with: pip install 'plainfilm[train]'"),
        (["tensorflow"], "tensorflow", r"Expected the package tensorflow for training and backbones; it is not installed. Install it with: pip install 'plainfilm[tensorflow]'"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_in_one_line(blocked, variable, said, tmp_path):
    code = """
from plainfilm.errors import MissingExtraError
from plainfilm.model import keras_backend
try:
    keras_backend.load()
except MissingExtraError as error:
    print(error)
"""
    given = {"KERAS_BACKEND": variable} if variable else {}
    assert run(code, tmp_path, blocked, **given).stdout.strip() == said


def test_what_jax_compiles_is_kept_in_the_cache_and_a_gpus_memory_is_not_taken(tmp_path):
    code = """
import os
from plainfilm.model import keras_backend
keras_backend.load()
import jax
jax.jit(lambda x: x * 3 + 1)(2.0).block_until_ready()
print(os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"], jax.config.jax_compilation_cache_dir)
"""
    done = run(code, tmp_path)
    assert done.stdout.split() == ["false", str(tmp_path / "compiled")]
    assert any((tmp_path / "compiled").iterdir())


def test_a_damaged_compiled_pass_is_compiled_anew_without_a_word(tmp_path):
    code = "from plainfilm.model import keras_backend; keras_backend.load(); import jax; print(jax.jit(lambda x: x * 3)(2.0))"
    for _ in range(2):
        done = run(code, tmp_path, KERAS_BACKEND="jax")
        assert (done.stdout, done.stderr) == ("6.0\n", "")
        paths = sorted((tmp_path / "compiled").iterdir())
        assert paths
        assert all(cache.has(path) for path in paths)
        for path in paths:
            path.write_bytes(path.read_bytes()[:-100])


def test_a_cache_that_the_caller_gave_jax_is_left_to_it(tmp_path):
    code = "import jax; from plainfilm.model import keras_backend; keras_backend.load(); print(jax.config.jax_compilation_cache_dir)"
    done = run(code, tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "theirs"))
    assert done.stdout.strip() == str(tmp_path / "theirs")
