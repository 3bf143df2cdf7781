"""How classifiers travel to hospitals that they have never seen, and the search behind the recipes `robust` and `default`.

    python benchmarks/travel.py [PART …] [--only "M9h DRO,…"] [--recipes paper-mobilenet,default,robust] --out travel.json

search  the candidates of `travelling/candidates.py` at every left-out source of `several`, and what is chosen without the one reported
recipes the recipes, as the product trains them, on the same folds
within  their accuracy within a source: five folds by patient on `mixed` and `darkcovidnet`
ways    trained on one of these two, tested on the other; films that stand in both are left out of the test

Task A tells sick from well (sick.csv) at NIH, Guangzhou and Shenzhen, each left out in turn; task B COVID from normal at ten pairs of
sources, both left out. RSNA leaves with NIH, whose films it holds. AUROC, with the paired difference to the first recipe and its 95 %
interval over 400 draws of patients. Needs ../shared and MobileNet's ImageNet weights. Features are kept in WORK: the whole search
encodes the films some forty times, an hour on two cores, and scores of candidates are kept too: run again, it goes on where it stopped.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

from measuring import SHARED, finish

PARTS = ("search", "recipes", "within", "ways")


def search(options: argparse.Namespace) -> dict[str, Any]:
    from travelling import product, searching
    from travelling.candidates import CANDIDATES
    from travelling.films import ingested
    from travelling.folds import FOLDS, A, B, Films, rows_of, summary, told, write_table

    films = Films(ingested(options.data / "several", options.work))
    names = options.only.split(",") if options.only else list(CANDIDATES)
    for number, encoding in enumerate(wanted := searching.encodings(names), 1):
        print(f"encoding {number} of {len(wanted)}: {encoding}", flush=True)
        encoding.features(films.store)
    reference = product.mean_over_seeds(films, options.recipes[0], 1)
    folds = (*A, *B) if options.not_nested else FOLDS
    running, found = searching.Search(films, folds), {}
    for name in names:
        scores = running.scores(name)
        found[name] = {fold.name: films.areas(fold, scores[fold.name]) for fold in folds}
        print(name, *(f"{key} {value[0]:.3f}" for key, value in summary(found[name]).items()), flush=True)
    base = summary(reference)
    figures = {options.recipes[0]: {key: told(values) for key, values in base.items()}} | {
        name: {key: told(values, base[key]) for key, values in summary(areas).items()} for name, areas in found.items()
    }
    choices = {} if options.not_nested else {fold.name: searching.chosen(found, fold) for fold in (*A, *B)}
    if choices:
        nested = summary({name: found[choice][name] for name, choice in choices.items()})
        figures["chosen without the reported"] = {key: told(values, base[key]) for key, values in nested.items()}
    print("\n".join(rows_of(figures)))
    if options.table:
        write_table(options.table, found)
    return {"figures": figures, "chosen": choices, "areas": _plain(found), "reference": _plain({"": reference})[""]}


def recipes(options: argparse.Namespace) -> dict[str, Any]:
    from travelling import product
    from travelling.films import ingested
    from travelling.folds import Films, prediction_intervals, rows_of, summary, told

    films = Films(ingested(options.data / "several", options.work))
    found, figures = {}, {}
    for name in options.recipes:
        found[name] = product.mean_over_seeds(films, name, options.seeds)
        base = summary(found[options.recipes[0]])
        is_first = name == options.recipes[0]
        figures[name] = {
            key: told(values, None if is_first else base[key]) for key, values in summary(found[name]).items()
        }
        print("\n".join(rows_of(figures)), flush=True)
    intervals = {name: prediction_intervals(areas) for name, areas in found.items()}
    for name, own in intervals.items():
        print(
            f"{name}: {own['held']} of {own['of']} pairs in the interval of the others, mean width {own['mean_width']:.2f}"
        )
    return {"figures": figures, "intervals": intervals, "areas": _plain(found)}


def within(options: argparse.Namespace) -> dict[str, Any]:
    from travelling import product
    from travelling.films import ingested, relabelled
    from travelling.folds import rows_of, told

    mixed, dark = (ingested(options.data / name, options.work) for name in ("mixed", "darkcovidnet"))
    is_covid, is_used = (
        np.isin(np.array(dark.classes)[dark.labels], names) for names in (["COVID"], ["COVID", "NORMAL"])
    )
    sets = {
        "mixed": mixed,
        "darkcovidnet": relabelled(dark, ("NORMAL", "COVID"), is_covid, is_used),
        "darkcovidnet, three classes": dark,
    }
    found = {title: product.accuracies(store, options.recipes, options.seeds) for title, store in sets.items()}
    first = options.recipes[0]
    figures = {
        name: {title: told(own[name], None if name == first else own[first]) for title, own in found.items()}
        for name in options.recipes
    }
    print("\n".join(rows_of(figures)), flush=True)
    return {"figures": figures}


def ways(options: argparse.Namespace) -> dict[str, Any]:
    from travelling.films import ingested
    from travelling.two_ways import one_way

    stores = {
        name: ingested(options.data / name, options.work, classes=["COVID", "NORMAL"])
        for name in ("mixed", "darkcovidnet")
    }
    return {
        f"{train} to {test}": one_way(stores[train], stores[test], options.recipes, options.seeds)
        for train, test in (("darkcovidnet", "mixed"), ("mixed", "darkcovidnet"))
    }


def _plain(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    return {name: {fold: float(values[0]) for fold, values in own.items()} for name, own in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=PARTS, help="all by default")
    parser.add_argument("--only", default="", help="names of candidates, with commas between; all by default")
    parser.add_argument("--not-nested", action="store_true", help="search what is reported alone: a third of the time")
    parser.add_argument("--table", type=Path, help="a CSV of the search, a row a candidate")
    parser.add_argument("--recipes", default="paper-mobilenet,default,robust", type=lambda text: text.split(","))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--data", type=Path, default=SHARED / "data", help="the folder that holds several, mixed and darkcovidnet"
    )
    parser.add_argument("--work", type=Path, default=Path("travel"), help="where stores and features are kept")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PLAINFILM_CACHE", str(options.work / "cache"))
    finish({part: globals()[part](options) for part in options.part or PARTS}, options.out)


if __name__ == "__main__":
    main()
