"""What a run answers about its model: how it is built, trained, chosen, and how its answers are made."""

from plainfilm.reporting.checklists.item import ItemAnswer
from plainfilm.reporting.formatting import decimal, isolated
from plainfilm.reporting.run_facts import Known, class_weight, count_of

OPEN = ItemAnswer("open")
_TRAINED = ("optimizer", "learning_rate", "batch_size", "epochs", "loss", "l2")
_FINGERPRINT_SHOWN = 12
FIXED = "fixed beforehand"
WEIGHED = {
    "balanced": "Each class counts the same in the loss.",
    "by source": "Each class counts the same in the loss, and within a class each source.",
    "group-dro": "Group DRO: each class of each source counts the more in the loss, the greater its own loss.",
}
RULES = {
    "youden": "most sensitivity + specificity",
    "accuracy": "fewest mistakes",
    "sensitivity": "a sensitivity of at least that, then most specificity",
    "specificity": "a specificity of at least that, then most sensitivity",
}


def preprocessing(known: Known) -> ItemAnswer:
    """What happens to an image before the network sees it."""
    made = known.about.preprocessing
    seen = "Gray, cut to the box around the lung fields" if made.crop == "lungs" else "Gray"
    alike = ", intensities harmonised" if made.intensities == "harmonised" else ""
    text = f"{seen}, resized to {made.input_size} × {made.input_size} px{alike}, gray levels scaled {made.scaling}"
    return ItemAnswer("answered", f"{text}; made square by {made.fit}.", "asked")


def predictors(_: Known) -> ItemAnswer:
    """What goes in: the image and nothing else."""
    return ItemAnswer("answered", "All pixels of one image, and nothing else; none was selected beforehand.", "asked")


def predictors_defined(known: Known) -> ItemAnswer:
    """How the input is defined; how and when it was measured is not in the files."""
    return ItemAnswer("partly", preprocessing(known).evidence, "asked")


def no_assessor(_: Known) -> ItemAnswer:
    """Pixels need no one's judgement."""
    return ItemAnswer("not applicable", "The input is pixels; nobody's judgement goes into it.")


def architecture(known: Known) -> ItemAnswer:
    """Backbone, head and output."""
    backbone, head = known.about.backbone, known.card.recipe.head
    text = f"{isolated(backbone.name)}, {trained_part(known)}; {backbone.features} features"
    return ItemAnswer("answered", f"{text}; head: {layers(known)}, {head.activation}, output {head.output}.", "repeat")


def layers(known: Known) -> str:
    """Write the layers of the head."""
    return ", ".join(known.card.recipe.head.layers) or "none"


def trained_part(known: Known) -> str:
    """How much of the backbone was trained on."""
    blocks = known.card.recipe.finetuning.blocks
    if blocks == "none":
        return "frozen"
    return "all of it fine-tuned" if blocks == "all" else f"fine-tuned in its last {blocks} blocks"


def software(known: Known) -> ItemAnswer:
    """Programs and their versions."""
    found = [f"{name} {version}" for name, version in known.about.versions.items()]
    return ItemAnswer("answered", f"{', '.join(found)}.", "repeat") if found else OPEN


def initialisation(known: Known) -> ItemAnswer:
    """Where the first weights come from."""
    digest, recipe = known.about.backbone.weights_sha256, known.card.recipe
    text = f"Backbone: weights with SHA-256 {digest[:_FINGERPRINT_SHOWN]}…; head: random, seed {recipe.seed}."
    if recipe.backbone.weights or recipe.backbone.name.endswith(".onnx"):
        return ItemAnswer("partly", text, "repeat", "What the backbone was trained on before, and by whom.")
    return ItemAnswer("answered", f"ImageNet weights. {text}", "repeat")


def training(known: Known) -> ItemAnswer:
    """How the head was trained."""
    recipe = known.card.recipe
    text = ", ".join(trained_with(known)).capitalize()
    views = recipe.augmentation.views
    altered = f"augmentation: {views} altered views of each image" if views else "no augmentation"
    return ItemAnswer("answered", f"{text}; {altered}.", "training")


def trained_with(known: Known) -> list[str]:
    """Write the settings that the head was trained with: "batch size 32"."""
    own = known.card.recipe.training
    told = {name: getattr(own, name) for name in _TRAINED} | {"epochs": own.epochs or "as many as its images need"}
    return [f"{name.replace('_', ' ')} {value}" for name, value in told.items()]


def selection(known: Known) -> ItemAnswer:
    """How the final model was chosen; a test set opened more than once may have helped."""
    openings = known.metrics.test_openings
    if not openings:
        return OPEN
    text = f"{kept(known).capitalize()}."
    if openings > 1:
        again = f"The test set of these data was opened {openings} times."
        return ItemAnswer(
            "partly", f"{text} {again}", "result", "How this run was chosen among those trained on these data."
        )
    return ItemAnswer("answered", f"{text} The test set was opened once, for this model.", "training")


def kept(known: Known) -> str:
    """Which epoch's weights the model has."""
    settings = known.card.recipe.training
    if class_weight(known.card.recipe, known.metrics) == "group-dro":
        return "the mean of the weights over the second half of the epochs"
    return "the epoch of least validation loss" if settings.keep == "best" else "the last epoch"


def building(known: Known) -> ItemAnswer:
    """Type of model and all steps; why this one is for the author."""
    return ItemAnswer("partly", f"{architecture(known).evidence} {training(known).evidence}", "repeat")


def one_model(known: Known) -> ItemAnswer:
    """One network answers, or an ensemble does."""
    folds, ensemble = known.metrics.folds, known.card.recipe.ensemble
    joined = [f"{folds} folds" if folds else "", f"{len(ensemble.members)} members" if ensemble.members else ""]
    if any(joined):
        how = "logistic regression on validation" if ensemble.combine == "stacking" else "mean log odds"
        return ItemAnswer("answered", f"An ensemble of {' × '.join(filter(None, joined))}, joined by {how}.", "asked")
    return ItemAnswer("not applicable", "One network gives the answer; there is no ensemble.")


def imbalance(known: Known) -> ItemAnswer:
    """What was done about classes of unequal size."""
    weight = class_weight(known.card.recipe, known.metrics)
    if weight == "none":
        return ItemAnswer("answered", "No method against class imbalance was used.", "training")
    text = WEIGHED[weight]
    if known.metrics.temperature is None:
        return ItemAnswer("partly", text, "training", "Whether probabilities were calibrated afterwards.")
    after = "calibrated afterwards" if known.metrics.is_calibrated else "not calibrated afterwards"
    return ItemAnswer("answered", f"{text} Probabilities were {after}, on validation.", "training")


def prediction(known: Known) -> ItemAnswer:
    """How an answer is computed from an image."""
    if known.metrics.temperature is None:
        return OPEN
    scaled = "calibrated by slope and intercept" if known.metrics.is_calibrated else "not calibrated"
    text = f"By the network in model.plainfilm (ONNX), {scaled}"
    return ItemAnswer("answered", f"{text}; {_decided(known)}.", "repeat")


def output(known: Known) -> ItemAnswer:
    """What comes out, and how a class is made of it."""
    metrics, rule = known.metrics, threshold_rule(known)
    what = (
        count_of(len(metrics.classes), "finding")
        if metrics.findings
        else count_of(len(metrics.classes), "class", "classes")
    )
    text = f"A probability of each of {what}; {_decided(known)}."
    if metrics.positive is None:
        return ItemAnswer("answered", text, "asked")
    if metrics.threshold is None:
        return ItemAnswer("partly", text, "asked", "How the threshold was found.")
    if rule == FIXED:
        return ItemAnswer("partly", f"{text} Threshold {rule}.", "asked", "Why this threshold.")
    return ItemAnswer("answered", f"{text} Threshold {rule}.", "asked")


def threshold_rule(known: Known) -> str:
    """Say how the threshold was found."""
    asked = known.card.recipe.evaluation
    if asked.sensitivity:
        return f"by a sensitivity of {asked.sensitivity:g} and an NPV of {asked.npv:g} on validation, with a second threshold and an unsure band"
    name, _, target = asked.threshold.partition(":")
    return f"by {name}{target and ' ' + target} on validation: {RULES[name]}" if name in RULES else FIXED


def not_updated(_: Known) -> ItemAnswer:
    """Nothing was updated: a run makes a model."""
    return ItemAnswer("not applicable", "This run made a model. No model that existed was updated.")


def full_model(_: Known) -> ItemAnswer:
    """The model as a file that answers for new images."""
    return ItemAnswer(
        "partly", "model.plainfilm holds the network, its preprocessing, calibration and threshold.", "repeat"
    )


def technical(_: Known) -> ItemAnswer:
    """Technical details in full."""
    return ItemAnswer(
        "partly", "recipe.toml holds every setting, resolved; the command stands in the report.", "repeat"
    )


def code(known: Known) -> ItemAnswer:
    """The code and how it was called."""
    version = known.about.versions.get("plainfilm")
    if not version:
        return OPEN
    return ItemAnswer(
        "partly", f"plainfilm {version} (Apache-2.0), with the command and recipe in the report.", "repeat"
    )


def _decided(known: Known) -> str:
    positive, threshold = known.metrics.positive, known.metrics.threshold
    unsure = ", and below it the answer may be unsure" if known.metrics.may_be_unsure else ""
    if known.metrics.findings:
        return f"each is called from its own threshold on{unsure}"
    if positive is None:
        return "the most probable class is called"
    if threshold is None:
        return f"{isolated(positive)} is called by a threshold"
    return f"{isolated(positive)} is called at {decimal(threshold)} or more{unsure}"
