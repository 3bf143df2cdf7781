"""What a run answers about its model: how it is built, trained, chosen, and how its answers are made."""

from plainfilm.reporting.checklists.item import Answer
from plainfilm.reporting.formatting import decimal, isolated, number
from plainfilm.reporting.run_facts import Known, count_of, inside

OPEN = Answer("open")
_TRAINED = ("optimizer", "learning_rate", "batch_size", "epochs", "loss")
_FINGERPRINT_SHOWN = 12
FIXED = "fixed beforehand"
RULES = {
    "youden": "most sensitivity + specificity",
    "accuracy": "fewest mistakes",
    "sensitivity": "a sensitivity of at least that, then most specificity",
    "specificity": "a specificity of at least that, then most sensitivity",
}


def preprocessing(known: Known) -> Answer:
    """What happens to an image before the network sees it."""
    made = inside(known.about, "preprocessing")
    size, scaling, fit = (made.get(name) for name in ("input_size", "scaling", "fit"))
    if not size or not scaling:
        return OPEN
    seen = "Gray, cut to the box around the lung fields" if made.get("crop") == "lungs" else "Gray"
    alike = ", intensities harmonised" if made.get("intensities") == "harmonised" else ""
    text = f"{seen}, resized to {size} × {size} px{alike}, gray levels scaled {scaling}"
    if not fit:
        return Answer("partly", f"{text}.", "asked", "How images became squares.")
    return Answer("answered", f"{text}; made square by {fit}.", "asked")


def predictors(known: Known) -> Answer:
    """What goes in: the image and nothing else."""
    found = preprocessing(known)
    if found.status != "answered":
        return OPEN
    return Answer("answered", "All pixels of one image, and nothing else; none was selected beforehand.", "asked")


def predictors_defined(known: Known) -> Answer:
    """How the input is defined; how and when it was measured is not in the files."""
    found = preprocessing(known)
    return OPEN if found.status == "open" else Answer("partly", found.evidence, "asked")


def no_assessor(_: Known) -> Answer:
    """Pixels need no one's judgement."""
    return Answer("not applicable", "The input is pixels; nobody's judgement goes into it.")


def architecture(known: Known) -> Answer:
    """Backbone, head and output."""
    backbone = inside(known.about, "backbone")
    name, width, layers = backbone.get("name"), backbone.get("features"), known.setting("head", "layers")
    if not name:
        return OPEN
    text = f"{isolated(str(name))}, {_trained_part(known)}"
    if not width or not layers:
        return Answer("partly", f"{text}.", "asked", "The layers of the head.")
    head = f"{width} features; head: {layers}, {known.setting('head', 'activation')}, output {known.setting('head', 'output')}"
    return Answer("answered", f"{text}; {head}.", "repeat")


def _trained_part(known: Known) -> str:
    """How much of the backbone was trained on."""
    blocks = known.setting("finetuning", "blocks")
    if blocks in {"", "none"}:
        return "frozen"
    return "all of it fine-tuned" if blocks == "all" else f"fine-tuned in its last {blocks} blocks"


def software(known: Known) -> Answer:
    """Programs and their versions."""
    found = [f"{name} {version}" for name, version in known.versions.items()]
    return Answer("answered", f"{', '.join(found)}.", "repeat") if found else OPEN


def initialisation(known: Known) -> Answer:
    """Where the first weights come from."""
    digest, seed = inside(known.about, "backbone").get("weights_sha256"), known.recipe.get("seed")
    if not digest or seed is None:
        return OPEN
    text = f"Backbone: weights with SHA-256 {str(digest)[:_FINGERPRINT_SHOWN]}…; head: random, seed {seed}."
    own, name = known.setting("backbone", "weights"), known.setting("backbone", "name")
    if own or name.endswith(".onnx") or not name:
        return Answer("partly", text, "repeat", "What the backbone was trained on before, and by whom.")
    return Answer("answered", f"ImageNet weights. {text}", "repeat")


def training(known: Known) -> Answer:
    """How the head was trained."""
    values = {name: known.setting("training", name) for name in _TRAINED}
    if not all(values.values()):
        return OPEN
    text = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items()).capitalize()
    views = known.setting("augmentation", "views")
    altered = "no augmentation" if views in {"", "0"} else f"augmentation: {views} altered views of each image"
    return Answer("answered", f"{text}; {altered}.", "training")


def selection(known: Known) -> Answer:
    """How the final model was chosen; a test part opened more than once may have helped."""
    kept = known.setting("training", "keep")
    openings = number(known.metrics.get("test_openings"))
    if kept not in {"best", "last"} or not openings:
        return OPEN
    text = "The epoch of least validation loss." if kept == "best" else "The last epoch."
    if openings > 1:
        again = f"The test part of these data was opened {int(openings)} times."
        return Answer(
            "partly", f"{text} {again}", "result", "How this run was chosen among those trained on these data."
        )
    return Answer("answered", f"{text} The test part was opened once, for this model.", "training")


def building(known: Known) -> Answer:
    """Type of model and all steps; why this one is for the author."""
    built, trained = architecture(known), training(known)
    if built.status == "open" or trained.status == "open":
        return OPEN
    return Answer("partly", f"{built.evidence} {trained.evidence}", "repeat")


def one_model(known: Known) -> Answer:
    """One network answers, or an ensemble does."""
    if not inside(known.about, "backbone"):
        return OPEN
    folds, members = number(known.metrics.get("folds")), inside(known.recipe, "ensemble").get("members") or ()
    joined = [f"{int(folds)} folds" if folds else "", f"{len(members)} members" if members else ""]
    if any(joined):
        how = (
            "logistic regression on validation"
            if known.setting("ensemble", "combine") == "stacking"
            else "mean log odds"
        )
        return Answer("answered", f"An ensemble of {' × '.join(filter(None, joined))}, joined by {how}.", "asked")
    return Answer("not applicable", "One network gives the answer; there is no ensemble.")


def imbalance(known: Known) -> Answer:
    """What was done about classes of unequal size."""
    weight, temperature = known.setting("training", "class_weight"), number(known.metrics.get("temperature"))
    if weight == "none":
        return Answer("answered", "No method against class imbalance was used.", "training")
    if weight != "balanced":
        return OPEN
    text = "Each class counts the same in the loss."
    if temperature is None:
        return Answer("partly", text, "training", "Whether probabilities were calibrated afterwards.")
    after = (
        "not calibrated afterwards" if temperature == 1 else f"calibrated afterwards (temperature {temperature:.2f})"
    )
    return Answer("answered", f"{text} Probabilities were {after}, on validation.", "training")


def prediction(known: Known) -> Answer:
    """How an answer is computed from an image."""
    if not inside(known.about, "backbone") or number(known.metrics.get("temperature")) is None or not known.classes:
        return OPEN
    text = f"By the network in model.plainfilm (ONNX), temperature {known.metrics['temperature']:.2f}"
    return Answer("answered", f"{text}; {_decided(known)}.", "repeat")


def output(known: Known) -> Answer:
    """What comes out, and how a class is made of it."""
    if not known.classes:
        return OPEN
    text = f"A probability of each of {count_of(len(known.classes), 'class', 'classes')}; {_decided(known)}."
    if known.positive is None:
        return Answer("answered", text, "asked")
    rule = threshold_rule(known)
    if not rule or number(known.metrics.get("threshold")) is None:
        return Answer("partly", text, "asked", "How the threshold was found.")
    if rule == FIXED:
        return Answer("partly", f"{text} Threshold {rule}.", "asked", "Why this threshold.")
    return Answer("answered", f"{text} Threshold {rule}.", "asked")


def threshold_rule(known: Known) -> str:
    """Say how the threshold was found, "" where the recipe does not."""
    name, _, target = known.setting("evaluation", "threshold").partition(":")
    if name not in RULES:
        return FIXED if name else ""
    return f"by {name}{target and ' ' + target} on validation: {RULES[name]}"


def not_updated(known: Known) -> Answer:
    """Nothing was updated: a run makes a model."""
    if not inside(known.about, "backbone"):
        return OPEN
    return Answer("not applicable", "This run made a model. No model that existed was updated.")


def full_model(known: Known) -> Answer:
    """The model as a file that answers for new images."""
    if not inside(known.about, "backbone").get("weights_sha256"):
        return OPEN
    return Answer(
        "partly", "model.plainfilm holds the network, its preprocessing, calibration and threshold.", "repeat"
    )


def technical(known: Known) -> Answer:
    """Technical details in full."""
    if not known.recipe or not known.card.repeat:
        return OPEN
    return Answer("partly", "recipe.toml holds every setting, resolved; the command stands in the report.", "repeat")


def code(known: Known) -> Answer:
    """The code and how it was called."""
    version = known.versions.get("plainfilm")
    if not version or not known.card.repeat:
        return OPEN
    return Answer("partly", f"plainfilm {version} (Apache-2.0), with the command and recipe in the report.", "repeat")


def _decided(known: Known) -> str:
    threshold = number(known.metrics.get("threshold"))
    if known.positive is None:
        return "the most probable class is called"
    if threshold is None:
        return f"{isolated(known.positive)} is called by a threshold"
    return f"{isolated(known.positive)} is called at {decimal(threshold)} or more"
