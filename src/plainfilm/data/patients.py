"""Whose image is whose: one key a patient over all sources of a command, since joining two patients is safer than parting one."""

import re
from collections import defaultdict
from collections.abc import Sequence

from plainfilm.data.cataloguing.level_names import tokens

_NO_PATIENT = re.compile(
    r"[\W_]*|x{2,}|(de-?identified|anonym(ous|i[sz]ed)?|anon|pseudonym(i[sz]ed)?|unknown|none|no ?id|n/?a|nan|null|patient|subject|"
    r"patient ?id|name|removed|redacted|default|test|phantom)[\s_^-]*(patient|subject|id|name)?"
)
_OF_A_PERSON = frozenset(  # words of columns that must not stand in a store
    "surname lastname firstname forename dob mrn ssn address phone telephone email passport nachname "
    "vorname familienname geburtsdatum geburtstag anschrift adresse telefon prenom naissance apellido apellidos nacimiento "
    "direccion telefono dni sobrenome nascimento cpf cognome nascita achternaam voornaam geboortedatum 姓名 氏名 患者姓名 "
    "출생일 생년월일 фамилия фио".split()
)
_NAME = "(names?|nom|nombres?|nome|naam|imie|имя|名前|이름)"
_NUMBER = "(ids?|nr|no|num|numb?er|nummer|numero|code|identifier|initial(s|en)|address)"
_PERSON = "(patients?|patienten|pacientes?|pazienti?|pat|subjects?|participant|person)"
_WHOSE = "(first|last|family|given|full|middle|maiden|du|del?)"
_IS_PERSON = re.compile(
    rf"{_WHOSE}*({_NAME}|{_PERSON})({_WHOSE}|{_NAME}|{_NUMBER}|{_PERSON})*|{_NUMBER}{_WHOSE}*{_PERSON}|.*(dateofbirth|birthda(te|y)|medicalrecord).*"
)
_ENOUGH = 10  # images; fewer may well be of one patient


def patient_keys(
    patients: Sequence[str | None], issuers: Sequence[str], sources: Sequence[str] | None = None
) -> tuple[list[str], bool]:
    """Give each image the key of its patient, "" where nobody is named.

    The key is the id with its issuer (Issuer of Patient ID, PS3.3 C.2.2), or the id alone where one image or more give
    that id without an issuer. Case, blanks, leading zeros and a trailing `.0` do not count: tables lose or add them.

    Parameters
    ----------
    patients, issuers
        Id and issuer of each image; None or "" for none, and "" for no issuer.
    sources
        Where they are given, equal ids of two sources are two patients.

    Returns
    -------
    list of str
        Keys.
    bool
        Whether one id stood for all of ten images or more, and so for nobody: then all keys are "".
    """
    ids = [_plain(patient or "") for patient in patients]
    places = sources or [""] * len(ids)
    issued: dict[tuple[str, str], set[str]] = defaultdict(set)
    for place, name, issuer in zip(places, ids, issuers, strict=True):
        issued[place, name].add(_plain(issuer))
    keys = [
        "" if not name else "\0".join((place, name, "" if "" in issued[place, name] else _plain(issuer)))
        for place, name, issuer in zip(places, ids, issuers, strict=True)
    ]
    is_nobody = len(keys) >= _ENOUGH and len(set(keys)) == 1 and keys[0] != ""
    return ([""] * len(keys) if is_nobody else keys), is_nobody


def _plain(written: str) -> str:
    text = " ".join(written.split()).casefold()
    if _NO_PATIENT.fullmatch(text):
        return ""
    return re.sub(r"^0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", text))


def names_a_person(column: str) -> bool:
    """Whether a table's column holds names, birthdays, addresses or numbers of people, by the words of its own name."""
    letters = re.sub(r"[\W_]", "", "".join(tokens(column)))
    return bool(_OF_A_PERSON.intersection([letters, *tokens(column)]) or _IS_PERSON.fullmatch(letters))
