"""What a search chooses among: films and encoder, a means on the features, a head. A further one is a row of a table."""

from collections.abc import Mapping
from dataclasses import dataclass

from travelling import means
from travelling.films import PREPARATIONS, Encoding
from travelling.means import Mean

_M, _L = "mobilenet", "efficientnet_lite0"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Features of one encoding or several, a means, and a linear head; or `mix`, the mean of other candidates' log odds.

    Several encodings stand `beside` one another, or their mean is taken.
    """

    films: tuple[Encoding, ...] = ()
    beside: bool = False
    mean: Mean | None = None
    l2: float = 3.0
    loss: str = "balanced"
    mix: tuple[str, ...] = ()


_NINE, _LAST, _LITE = Encoding(), Encoding(depth=0), Encoding(name=_L, depth=0)
_EVEN = Encoding(intensities="harmonised")
_ROBUST = Encoding(intensities="harmonised", input_size=320)
_DRO = "group-dro"


def _with(base: Encoding, **changes: object) -> Encoding:
    return Encoding(**{**vars(base), **changes})  # type: ignore[arg-type]


def _heads() -> Mapping[str, Candidate]:
    found = {}
    for label, base, l2 in (("M", _LAST, 0.3), ("M9", _NINE, 3.0), ("M9h", _EVEN, 3.0), ("L", _LITE, 0.3)):
        found |= {
            label: Candidate(films=(base,), l2=l2),
            f"{label} by source": Candidate(films=(base,), l2=l2, loss="by source"),
            f"{label} DRO": Candidate(films=(base,), l2=l2, loss=_DRO),
            f"{label} INLP 1": Candidate(films=(base,), l2=l2, mean=means.inlp(1)),
            f"{label} INLP 3": Candidate(films=(base,), l2=l2, mean=means.inlp(3)),
            f"{label} nuisance penalty": Candidate(films=(base,), l2=l2, mean=means.nuisance_penalty(3, l2)),
            f"{label} erased": Candidate(films=(base,), l2=l2, mean=means.erased),
            f"{label} LEACE": Candidate(films=(base,), l2=l2, mean=means.leace),
            f"{label} mean alignment": Candidate(films=(base,), l2=l2, mean=means.mean_alignment),
            f"{label} own deviations": Candidate(films=(base,), l2=l2, mean=means.own_deviations),
            f"{label} CORAL": Candidate(films=(base,), l2=l2, mean=means.coral),
            f"{label} PCA 32": Candidate(films=(base,), l2=l2, mean=means.principal(32)),
            f"{label} whitened 32": Candidate(films=(base,), l2=l2, mean=means.principal(32, is_white=True)),
            f"{label} PLS 3": Candidate(films=(base,), l2=l2, mean=means.partial_least_squares(3)),
        }
    return found | {"M9 pairs": Candidate(films=(_NINE,), loss="pairs")}


def _penalties() -> Mapping[str, Candidate]:
    found = {}
    for l2 in (0.1, 0.3, 1.0, 10.0, 30.0):
        found[f"M9h DRO L2 {l2:g}"] = Candidate(films=(_EVEN,), l2=l2, loss=_DRO)
        found[f"M9h 320 DRO L2 {l2:g}"] = Candidate(films=(_ROBUST,), l2=l2, loss=_DRO)
        found[f"L10h DRO L2 {l2:g}"] = Candidate(films=(_with(_EVEN, name=_L, depth=10),), l2=l2, loss=_DRO)
    return found | {"M L2 3": Candidate(films=(_LAST,)), "L L2 3": Candidate(films=(_LITE,))}


def _encodings() -> Mapping[str, Candidate]:
    """Depths, sizes and gray levels, each with both losses."""
    films = {f"M{depth}h": _with(_EVEN, depth=depth) for depth in (7, 11)}
    films |= {f"M9h {size}": _with(_EVEN, input_size=size) for size in (160, 320, 384)}
    films |= {"M9 320": _with(_NINE, input_size=320)}
    films |= {f"L{depth}h": _with(_EVEN, name=_L, depth=depth) for depth in (3, 5, 7, 9, 10, 11, 13)}
    films |= {f"L{depth}": _with(_NINE, name=_L, depth=depth) for depth in (5, 7, 9, 10, 11, 13)}
    films |= {"Lh": _with(_EVEN, name=_L, depth=0)}
    return {
        f"{name}{end}": Candidate(films=(each,), loss=loss)
        for name, each in films.items()
        for end, loss in (("", "balanced"), (" DRO", _DRO))
    }


def _prepared() -> Mapping[str, Candidate]:
    films = {name: _with(_NINE, films=name) for name in PREPARATIONS if name not in {"mirrored", "closer", "150 px"}}
    films |= {"lung crop": _with(_NINE, crop="lungs")}
    films |= {"lung crop 112 px": _with(_EVEN, crop="lungs", films="150 px")}
    found = {
        f"M9 {name}{end}": Candidate(films=(each,), loss=loss)
        for name, each in films.items()
        for end, loss in (("", "balanced"), (" DRO", _DRO))
    }
    mirrored, closer = (_with(_NINE, films=name) for name in ("mirrored", "closer"))
    found["M9 and mirrored"] = Candidate(films=(_NINE, mirrored))
    found["M9 and mirrored and closer"] = Candidate(films=(_NINE, mirrored, closer))
    return found


def _joined() -> Mapping[str, Candidate]:
    lite = _with(_EVEN, name=_L, depth=9)
    low = Candidate(films=(_with(_EVEN, crop="lungs", films="150 px"),), mean=means.nuisance_penalty(3, 3.0))
    return {
        "M and L beside": Candidate(films=(_LAST, _LITE), beside=True, l2=0.3),
        "M9h and L9h beside DRO": Candidate(films=(_EVEN, lite), beside=True, loss=_DRO),
        "M9 lung crop 112 px nuisance penalty": low,
        "F3": Candidate(mix=("M9h DRO", "M9 local contrast DRO", "M9 lung crop 112 px nuisance penalty")),
        "F3 at 320": Candidate(mix=("M9h 320 DRO", "M9 local contrast DRO", "M9 lung crop 112 px nuisance penalty")),
        "M9h 320 and L9h DRO": Candidate(mix=("M9h 320 DRO", "L9h DRO")),
    }


CANDIDATES: Mapping[str, Candidate] = {**_heads(), **_penalties(), **_encodings(), **_prepared(), **_joined()}
