"""How tables and DICOM headers write a patient's sex, in many languages: F, M or other."""

from collections.abc import Callable, Iterable

from plainfilm.data.spelling import plain

_WORDS = {
    "F": "f w female woman girl feminine fem weiblich weibl frau femme feminin feminine fille femenino femenina mujer hembra nina feminino "
    "feminina mulher femmina femminile donna vrouw vrouwelijk 女 女性 女孩 여 여성 여자 ж женский женщина",
    "M": "m h male man boy masculine masc mannlich maennlich mannl maennl mann homme masculin garcon masculino masculina hombre varon nino homem "
    "maschio maschile uomo mannelijk 男 男性 男孩 남 남성 남자 м мужской мужчина",
    "other": "o x d other divers diverse nonbinary non-binary autre otro otra outro outra altro andere 其他 기타",
    "": "u unknown n/a na unbekannt inconnu desconocido desconhecido sconosciuto onbekend 未知 不详",
}
_READ = {plain(word): sex for sex, words in _WORDS.items() for word in words.split()}
_KEPT_AS_WRITTEN = frozenset(
    "v 0 1 2 3 9".split()
)  # Dutch vrouw or Spanish varón; codes of which each table has its own


def is_sex(text: str) -> bool:
    """Whether a text is a word or a code for a sex, or for one that is not known, and nothing else."""
    return plain(text) in _READ or plain(text) in _KEPT_AS_WRITTEN


def sex(text: str) -> str:
    """Give F, M or other; "" for one that is not known; what is none of these, or a number, as it was written."""
    return _READ.get(plain(text), text.strip())


def reader_of(texts: Iterable[str]) -> Callable[[str], str]:
    """Give what reads a column of these values as `sex` does; beside H for hombre or homem, M is mujer or mulher."""
    found = {plain(text) for text in texts}
    if {"h", "m"} <= found and not found & {"f", "w"}:
        return lambda text: "F" if plain(text) == "m" else sex(text)
    return sex
