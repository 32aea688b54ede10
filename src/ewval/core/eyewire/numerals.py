"""Numbers as people and spreadsheets of any country write them."""

import re

GROUPED = (
    (re.compile(r"\d{1,3}(?:,\d{2,3})+(?:\.\d*)?"), ",", "."),  # 1,234,567.0 and 12,34,567
    (re.compile(r"\d{1,3}(?:\.\d{3}){2,}(?:,\d*)?|\d{1,3}\.\d{3},\d*"), ".", ","),  # 1.234.567 and 1.234,0
)
PLAIN = re.compile(r"(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d{1,2})?")
PARTERS = re.compile(r"(?<=\d)[\s'_\u2019\u02bc\u066c](?=\d)")
"""What stands between groups of digits, beside points and commas: blanks of every width, apostrophes, underscores."""


def read_number(text: str) -> float | None:
    """Return the number that `text` writes, None where it is none; "1.234" has a point, "1,234" a group of digits."""
    text = text.strip()
    sign = -1.0 if text[:1] in ("-", "\u2212") else 1.0
    digits = PARTERS.sub("", text[1:] if text[:1] in ("+", "-", "\u2212") else text)
    for form, parter, point in GROUPED:
        if form.fullmatch(digits):
            return sign * float(digits.replace(parter, "").replace(point, "."))
    return sign * float(digits.replace(",", ".")) if PLAIN.fullmatch(digits) else None


def read_whole_number(text: str) -> int | None:
    """Return the whole number that `text` writes, perhaps as 12.0; None where it is none.

    A single group after a point is digits here, since a part of a whole number is none: 77.960 is 77,960.
    """
    if re.fullmatch(r"\d{1,3}\.\d{3}", text) and not text.endswith("000"):
        text = text.replace(".", "")
    if re.fullmatch(r"\d{1,18}(?:\.0*)?", text):  # a float would lose digits
        return int(text.partition(".")[0])
    number = read_number(text)
    return int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else None
