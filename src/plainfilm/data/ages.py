"""Ages as tables and DICOM headers write them, in years."""

import math
import re

OLDEST = 120.0  # years; above it an age is a mistake in the table
_PER_YEAR = {"d": 365.25, "w": 365.25 / 7, "m": 12.0, "y": 1.0}
_WORDS = {
    "d": "d days? tage? tagen jours? dias? giorni giorno 天 日".split(),
    "w": "w weeks? wochen? semaines? semanas? settimane 周 週".split(),
    "m": "m months? mo monate?n? mois mes meses m[eê]s mesi mese 个月 月".split(),
    "y": "y yrs? years? j jahren? jahre? ans? anos? años? anni anno jaar 岁 歲 歳 세 лет".split(),
}
_UNIT = "|".join(f"(?P<{unit}>{'|'.join(words)})" for unit, words in _WORDS.items())
_AGE = re.compile(rf"[<>=~≥≤]*\s*(?P<number>\d+(?:[.,]\d+)?)\s*(?:{_UNIT})?\.?\s*(?:old|\+)?")


def years(text: str) -> float:
    """Give the years of an age: 45, 45.0, 045Y, 6 months, 45 Jahre, >89, 90+; not-a-number where it is none."""
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        return math.nan
    per_year = next((number for unit, number in _PER_YEAR.items() if match[unit]), 1.0)
    age = float(match["number"].replace(",", ".")) / per_year
    return age if age <= OLDEST else math.nan
