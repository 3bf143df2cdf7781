"""The bundles that answer, by name: opened whole before they do, taken over from one request to the next, and given back."""

import hashlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from plainfilm.arguments import Device
from plainfilm.data.decoder_pool import Decoders
from plainfilm.errors import PlainfilmError, UsageError
from plainfilm.evidence.inference import predictor as prediction
from plainfilm.evidence.inference.predictor import Finders, Predictor
from plainfilm.model.bundle import NAME, place_of
from plainfilm.model.shared_trunk import Trunks
from plainfilm.results import documents
from plainfilm.results.served import ModelName, ModelNames, NamedModel
from plainfilm.serve import openapi
from plainfilm.serve.card_page import card_page
from plainfilm.serve.explaining import Examiner, Identity
from plainfilm.serve.http_errors import Refused
from plainfilm.serve.multipart import Limits
from plainfilm.serve.telemetry import LOG
from plainfilm.serve.tokens import Access

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})=(.+)")
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A bundle that answers under a name; `told` is what `/model` says (JSON), `card` its card as a page."""

    name: str
    predictor: Predictor
    examiner: Examiner
    told: bytes
    card: bytes

    @property
    def model(self) -> ModelName:
        """Which model it is, as answers say."""
        return ModelName(name=self.examiner.identity.name, version=self.examiner.identity.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How bundles are opened; `limits` and `seconds` are what `/model` says of requests, `root` the path that a proxy puts before ours.

    With `trunks`, bundles of one backbone share it; all share `finders`.
    `watch` is called with who is going to answer, and the SHA-256 of the bundle.
    """

    decoders: Decoders
    limits: Limits
    seconds: float
    require_signature: Path | None = None
    site: str | None = None
    device: Device | None = None
    shows_text: bool = False
    root: str = ""
    trunks: Trunks | None = None
    finders: Finders = field(default_factory=Finders)
    watch: Callable[[Predictor, str], None] = lambda _predictor, _sha256: None

    def __call__(self, name: str, path: Path) -> Served:
        """Open a bundle, whole: all that is checked before an answer is checked, and one answer is given.

        Raises
        ------
        BundleError, UsageError
            As `plainfilm.load`.
        PlainfilmError
            It was written while it was read.
        """
        place = place_of(path)
        before = _sha256(place)
        predictor = prediction.opened(
            place, require_signature=self.require_signature, site=self.site, device=self.device
        )
        identity = Identity.of(predictor, place)
        if identity.sha256 != before:
            raise PlainfilmError(
                f"Expected a bundle that is whole; received {place}, which was written while it was read. Try again."
            )
        predictor.finders, classifier = self.finders, predictor.bundle.classifier
        predictor.bundle = replace(
            predictor.bundle,
            classifier=self.trunks.share(classifier) if self.trunks else classifier,
            seen=b"",  # what it was made from, which answering does not ask for
        )
        predictor.predict(np.zeros((64, 64), np.uint8))  # the first answer takes longer: not a user's
        self.watch(predictor, identity.sha256)
        examiner = Examiner(predictor, self.decoders, identity, shows_text=self.shows_text)
        told = openapi.model(examiner, predictor.bundle, self.limits, seconds=self.seconds)
        return Served(
            name=name,
            predictor=predictor,
            examiner=examiner,
            told=documents.encode(told),
            card=card_page(predictor.bundle.card, self.root),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What answered under a name, and what answers now; the same where there was nothing new."""

    name: str
    before: Served
    now: Served


class Models:
    """Bundles by name, the first for whoever names none. Thread-safe: who has taken one keeps it to the end of the request.

    Parameters
    ----------
    places
        Files by name, in order.
    opening
        Opens one.
    changed
        Called with what is to answer from now on, before it does; what it raises leaves the old in place.
    """

    def __init__(
        self,
        places: Mapping[str, Path],
        opening: Callable[[str, Path], Served],
        *,
        changed: Callable[[Served], None] = lambda _: None,
    ) -> None:
        self._places, self._opening, self.changed = dict(places), opening, changed
        self._now = {name: opening(name, path) for name, path in places.items()}
        self._earlier: dict[str, Served] = {}
        self._left: dict[str, str] = {}  # SHA-256 of what was gone back from, which only who names it gets again
        self._changing = threading.Lock()

    def __iter__(self) -> Iterator[Served]:
        return iter(tuple(self._now.values()))

    @property
    def default(self) -> Served:
        """What answers to whoever names none."""
        return next(iter(self._now.values()))

    def get(self, name: str | None, access: Access) -> Served:
        """Give what answers under a name, or by default; one that `access` does not see is as one that is not there.

        Raises
        ------
        Refused
            404, there is none.
        """
        found = self.default if name is None else self._now.get(name)
        if found is None or not access.sees(found.name):
            raise Refused(
                404, "model", "Expected the name of a model that answers here; received another. GET models lists them."
            )
        return found

    def listed(self, access: Access) -> ModelNames:
        """Name those that an access sees, and which answers where none is named, if it sees that one."""
        seen = tuple(
            NamedModel(served_as=each.name, name=each.model.name, version=each.model.version)
            for each in self
            if access.sees(each.name)
        )
        return ModelNames(default=self.default.name if access.sees(self.default.name) else None, models=seen)

    def reload(self, name: str, *, is_named: bool = True) -> Change:
        """Read the file of a name again; what answered stays in reach, and answers on where the file is none to answer.

        What was gone back from is not taken again, unless it `is_named`.

        Raises
        ------
        Refused
            409, another change is under way.
        PlainfilmError
            As `Opening`.
        """
        with self._alone(waits=not is_named):  # whoever cannot be told to come again waits
            before = self._now[name]
            digest = _sha256(place_of(self._places[name]))
            known = {before.examiner.identity.sha256} | (
                set() if is_named or name not in self._left else {self._left[name]}
            )
            return (
                Change(name=name, before=before, now=before)
                if digest in known
                else self._put(name, self._opening(name, self._places[name]))
            )

    def back(self, name: str) -> Change:
        """Let the one answer again that answered before; a second time goes forth again.

        Raises
        ------
        Refused
            409, there was none before, or another change is under way.
        """
        with self._alone():
            if name not in self._earlier:
                raise Refused(
                    409,
                    "nothing-before",
                    "Expected a model that answered before this one; there is none since the start.",
                )
            change = self._put(name, self._earlier[name])
            self._left[name] = change.before.examiner.identity.sha256
            return change

    def reload_all(self) -> None:
        """Read all files again, as SIGHUP asks; what cannot be taken is logged in a line each."""
        for name in self._places:
            try:
                self.reload(name, is_named=False)
            except (PlainfilmError, OSError, Refused) as error:
                LOG.error("model not reloaded", extra={"event": {"model": name, "reason": str(error)}})

    @contextmanager
    def _alone(self, *, waits: bool = False) -> Iterator[None]:
        """Let one change be made at a time; a second waits, or is told to come again."""
        if not self._changing.acquire(blocking=waits):
            raise Refused(
                409, "changing", "Expected no other change under way; there is one. Ask again when it is done."
            )
        try:
            yield
        finally:
            self._changing.release()

    def _put(self, name: str, now: Served) -> Change:
        before = self._now[name]
        self.changed(now)
        self._earlier[name], self._now = before, {**self._now, name: now}
        self._left.pop(name, None)
        versions = {"before": before.model.version, "now": now.model.version}
        same = before.predictor.classes_ == now.predictor.classes_
        LOG.log(
            logging.INFO if same else logging.WARNING,
            "model changed" if same else "model changed, with other classes",
            extra={"event": {"model": name, **versions}},
        )
        return Change(name=name, before=before, now=now)


def named(bundles: Sequence[Path]) -> dict[str, Path]:
    """Name bundles: as NAME=PATH says, else by the file, or by the folder of a model.plainfilm.

    Raises
    ------
    UsageError
        None, or two of one name.
    """
    found: dict[str, Path] = {}
    for given in bundles:
        matched = None if given.exists() else _NAMED.fullmatch(str(given))
        name, path = (matched[1], Path(matched[2])) if matched else (_own_name(given), given)
        if name in found:
            raise UsageError(
                f"Expected bundles of different names; received {name} twice. Name them: {name}={path} and another, for example {name}-2=…"
            )
        found[name] = path
    if not found:
        raise UsageError("Expected a bundle; received none. Name a model.plainfilm.")
    return found


def _own_name(path: Path) -> str:
    whole = path.absolute()
    name = whole.parent.name if whole.name == NAME else whole.name.removesuffix(".plainfilm")
    return _ODD.sub("-", name).strip("-._")[:64] or "model"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # opening it says what is wrong
