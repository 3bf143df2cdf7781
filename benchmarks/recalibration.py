"""What a few radiographs of a new hospital are worth to the probabilities there, and how much harm they can do.

    python benchmarks/recalibration.py --out recalibration.json

`several`, one source left out in turn (NORMAL against SICK), and all pairs of a source of COVID and one of NORMAL, both left
out; RSNA's and NIH's films are one source. A classifier trained on the others is recalibrated 200 times from 50 films of the
source: by their labels (with a slope, and by the most likely number alone), and by the source's prevalence without labels. Log loss on the films that were not drawn, as it came
and after; `worst` is the largest rise of a single draw. Where 50 films hold fewer than ten of a class they are refused, and
all stays as it came. Needs ../shared.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

import plainfilm
from measuring import SHARED, finish
from plainfilm.data import split
from plainfilm.data.store import Store
from plainfilm.evidence.external import recalibration
from plainfilm.evidence.external.recalibration import Fit
from plainfilm.evidence.statistics.calibration_line import shift_to
from plainfilm.evidence.statistics.discrimination import delong
from plainfilm.model import recipes
from plainfilm.model.classifier import head_logits
from plainfilm.results.documents import plain
from plainfilm.results.estimate import UNDEFINED
from plainfilm.workflows import fit

DATA = SHARED / "data" / "several"
ONE = {"nih-cxr14": "rsna", "rsna": "nih-cxr14"}  # share their films
BOTH = ("nih-cxr14", "guangzhou-pediatric", "shenzhen")
COVID = ("bimcv-valencia", "covid-cxnet")
NORMAL = ("rsna", "nih-cxr14", "guangzhou-pediatric", "shenzhen", "jsrt")
SETTINGS = {"backbone.name": "mobilenet", "backbone.depth": 9, "backbone.intensities": "harmonised", "head.layers": ["standardise"], "training.class_weight": "balanced"}  # fmt: skip
AS_IT_CAME = Fit(shift=0.0, fitted_shift=UNDEFINED)
Films = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]  # log odds, labels 0 or 1, groups


def left_out(store: Store, recipe: recipes.Recipe, sources: Sequence[str], positive: str) -> Films:
    """Train on all other sources, and answer for the labelled films of these."""
    out = np.isin(store.source, [*sources, *(ONE[each] for each in sources if each in ONE)])
    parts = split.make(np.where(out, -1, store.labels), store.group, store.classes, seed=0)
    trained = fit.fit(store.with_split(np.where(parts == "test", "train", parts)), recipe, positive=positive)
    rows = np.flatnonzero(np.isin(store.source, sources) & (store.labels >= 0))
    log_odds = trained.decision.log_odds(head_logits(trained.head, trained.features.read, rows))
    return log_odds, (store.labels[rows] == store.classes.index(positive)).astype(np.int64), store.group[rows]


def loss(fitted: Fit, films: Films) -> float:
    log_odds, labels, _ = films
    return -float(log_expit((2 * labels - 1) * fitted.of(log_odds)).mean())


def drawn(films: Films, n: int, draws: int) -> Iterator[tuple[Films, Films]]:
    rng = np.random.default_rng(0)
    for _ in range(draws):
        few = np.isin(films[2], rng.permutation(np.unique(films[2]))[:n])
        yield tuple(each[few] for each in films), tuple(each[~few] for each in films)


def measured(films: Films, n: int, draws: int) -> dict[str, Any]:
    prevalence, came, refused = float(films[1].mean()), [], 0
    found: dict[str, list[float]] = {"labels": [], "number_alone": [], "prevalence": []}
    for few, rest in drawn(films, n, draws):
        log_odds, labels, group = few
        is_refused = bool(recalibration.why_not(labels, group))
        refused += is_refused
        by_labels = AS_IT_CAME if is_refused else recalibration.fit_to_labels(*few)
        number = AS_IT_CAME if is_refused else Fit(shift=shift_to(log_odds, labels.mean()), fitted_shift=UNDEFINED)
        came.append(loss(AS_IT_CAME, rest))
        found["labels"].append(loss(by_labels, rest))
        found["number_alone"].append(loss(number, rest))
        found["prevalence"].append(loss(recalibration.fit_to_prevalence(log_odds, prevalence, group), rest))
    told: dict[str, Any] = {"films": len(films[1]), "share": prevalence, "auroc": plain(delong(films[1], films[0], group=films[2]))}  # fmt: skip
    told["constant"] = loss(Fit(slope=0.0, shift=float(np.log(prevalence / (1 - prevalence))), fitted_shift=UNDEFINED), films)  # fmt: skip
    told |= {"as_it_came": float(np.mean(came)), "refused": refused}
    for name, values in found.items():
        rise = np.array(values) - np.array(came)
        told[name] = {"log_loss": float(np.mean(values)), "rise": float(rise.mean()), "worst": float(rise.max()), "draws_that_rise": float((rise > 0).mean())}  # fmt: skip
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=50)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--recipe", help="in the place of the one here")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    recipe = recipes.load(args.recipe) if args.recipe else recipes.load("default", SETTINGS)
    found: dict[str, Any] = {
        "recipe": args.recipe or dict(SETTINGS),
        "films": args.films,
        "draws": args.draws,
        "by_source": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        ways = {"SICK": [(each,) for each in BOTH], "COVID": [(ill, well) for ill in COVID for well in NORMAL]}
        for positive, sources in ways.items():
            given = {"labels": DATA / "sick.csv"} if positive == "SICK" else {"classes": ["COVID", "NORMAL"]}
            plainfilm.ingest(DATA, Path(folder) / f"{positive}.h5", **given)
            with Store(Path(folder) / f"{positive}.h5") as store:
                for each in sources:
                    films = left_out(store, recipe, each, positive)
                    found["by_source"][" and ".join(each)] = measured(films, args.films, args.draws)
                    print(positive, each, found["by_source"][" and ".join(each)], flush=True)
    told = found["by_source"].values()
    found["largest_rise"] = {
        name: max(each[name]["rise"] for each in told) for name in ("labels", "number_alone", "prevalence")
    }
    finish(found, args.out)


if __name__ == "__main__":
    main()
