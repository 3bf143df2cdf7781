"""Where jobs run: the flag before the variable before the table [cluster] of a recipe's file."""

from types import SimpleNamespace

import pytest

from plainfilm.engines.current import elsewhere
from plainfilm.engines.local import Local
from plainfilm.errors import RecipeError, UsageError
from plainfilm.model import recipes
from plainfilm.workflows import clustering
from plainfilm.workflows.options import AuditOptions, CompareOptions, TrainOptions

asked = []


@pytest.fixture(autouse=True)
def _opened(monkeypatch):
    """Note what is opened."""
    asked.clear()
    monkeypatch.delenv("PLAINFILM_CLUSTER", raising=False)
    monkeypatch.setattr(clustering, "open_engine", lambda where, **more: asked.append((where, more["mixed"])))


def recipe(path, text='[cluster]\nwhere = "local:3"\n'):
    path.write_text(f"seed = 1\n{text}", encoding="utf-8")
    return path


def test_the_flag_is_heard_before_the_variable_and_that_before_the_recipe(tmp_path, monkeypatch):
    file = recipe(tmp_path / "own.toml", '[cluster]\nwhere = "local:3"\nmixed = true\n')
    clustering.check_cluster(TrainOptions("s.h5", recipe=file))
    clustering.check_cluster(CompareOptions("s.h5", recipes=["default", file]))
    clustering.check_cluster(TrainOptions("s.h5", recipe=file, cluster="local:2"))
    monkeypatch.setenv("PLAINFILM_CLUSTER", "here")
    clustering.check_cluster(TrainOptions("s.h5", recipe=file))
    clustering.check_cluster(TrainOptions("s.h5", recipe=file, cluster="local:2", mixed=True))
    clustering.check_cluster(AuditOptions("s.h5"))
    assert asked == [
        ("local:3", True),
        ("local:3", True),
        ("local:2", False),
        ("here", False),
        ("local:2", True),
        ("here", False),
    ]


def test_recipes_that_name_two_places_are_told(tmp_path):
    both = [recipe(tmp_path / "one.toml"), recipe(tmp_path / "two.toml", '[cluster]\nwhere = "here"\n')]
    with pytest.raises(UsageError, match=r"^Expected recipes that run in one place; received local:3 and here\."):
        clustering.check_cluster(CompareOptions("s.h5", recipes=both))
    clustering.check_cluster(CompareOptions("s.h5", recipes=both, cluster="local:2"))
    assert asked == [("local:2", False)]


def test_where_it_runs_is_no_part_of_a_recipe(tmp_path):
    with_table, without = recipe(tmp_path / "own.toml"), recipe(tmp_path / "other.toml", 'name = "own"\n')
    assert recipes.load(with_table) == recipes.load(without)
    with pytest.raises(RecipeError, match="Expected a key of a recipe; received cluster"):
        recipes.load("default", {"cluster.where": "here"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[cluster]\nwhere = 3.5\nmixed = 1", "Expected cluster.mixed to be true or false; received 1"),
        ('[cluster]\nwho = "me"', "received cluster.who. Did you mean cluster.where?"),
        ('cluster = "local:2"', "Expected cluster to be a table of settings"),
    ],
)
def test_a_table_of_another_form_is_told(tmp_path, text, said):
    with pytest.raises(RecipeError, match=said):
        clustering.check_cluster(TrainOptions("s.h5", recipe=recipe(tmp_path / "own.toml", text)))


def test_what_runs_a_plan_has_the_engine_of_its_recipe(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.delenv("PLAINFILM_CLUSTER", raising=False)
    plan = SimpleNamespace(options=TrainOptions("s.h5", recipe=recipe(tmp_path / "own.toml")))
    assert isinstance(clustering.on_cluster(lambda _plan: elsewhere())(plan), Local)
    assert elsewhere() is None
