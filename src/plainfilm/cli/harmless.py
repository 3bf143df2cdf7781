"""Text of others, such as names of folders, as a terminal may show it."""

import unicodedata


def harmless(text: str) -> str:
    """Text that cannot steer a terminal: no escape codes and no marks that turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join("?" if _steers(sign) else sign for sign in text)


def _steers(sign: str) -> bool:
    is_turn = "\u202a" <= sign <= "\u202e" or "\u2066" <= sign <= "\u2069"
    return is_turn or (unicodedata.category(sign) in {"Cc", "Cs"} and sign not in "\n\t")
