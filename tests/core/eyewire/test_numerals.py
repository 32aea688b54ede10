"""Digits are read in groups of any kind, and nothing is read as something else."""

import pytest

from ewval.core.eyewire.numerals import read_number, read_whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1234567", 1234567),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("45 985", 45985),
        ("45\u00a0985", 45985),
        ("45\u202f985", 45985),
        ("1\u2009234\u2009567,5", 1234567.5),
        ("1'234'567", 1234567),
        ("1\u2019234\u2019567", 1234567),
        ("1_234_567", 1234567),
        ("12,34,567", 1234567),
        ("1,234", 1234),
        ("1.234", 1.234),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1.234.567,25", 1234567.25),
        ("0,5", 0.5),
        (".5", 0.5),
        ("6887.0", 6887),
        ("1.5e6", 1500000),
        ("+7", 7),
        ("-3", -3),
        ("\u22123", -3),
        ("0", 0),
        ("\uff11\uff12", 12),
    ],
)
def test_numbers_are_read_as_they_are_meant(text: str, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "many", "1.2 M", "1..2", "1,23,4", "1.23.4", "1 2 x", "nan", "inf", "0x10", "1e", "--1", ",", "1e9999"]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("77960", 77960),
        ("77960.0", 77960),
        ("77960.", 77960),
        ("77,960", 77960),
        ("77 960", 77960),
        ("77.960", 77960),
        ("5.000", 5),
        ("123456789012345678", 123456789012345678),
        ("12.5", None),
        ("1,5", None),
        ("x", None),
        ("", None),
        ("1e300", None),
    ],
)
def test_whole_numbers_are_read_to_the_last_digit(text: str, number: int | None) -> None:
    assert read_whole_number(text) == number
