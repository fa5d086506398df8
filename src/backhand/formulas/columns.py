"""What the values of a table's columns become: one prepared number each, element by element.

A value ``v`` is a number, the days since 1970-01-01, or the place of a category, and what a model
has learned of the training rows are constants beside it. A missing number or date is NaN. These
formulas are meant for float64: the calendar needs whole numbers of nine digits.
"""

from __future__ import annotations

from .namespace import XP, Array

OTHER, MISSING = -1, -2
"""Places of categories that no training row has, and of missing ones."""

CLIP = 3.0
"""Prepared numbers are within this, and near 0 as they were. As RealMLP."""

MOST = 1e6
"""|z| beyond this is as good as infinite: z' differs from `CLIP` by less than float32 can tell."""

MOST_DAYS = 1e8
"""Days from 1970 within which dates are taken to be."""


def within(xp: XP, v: Array, least: Array, most: Array) -> Array:
    return xp.minimum(xp.maximum(v, least), most)


def known_or(xp: XP, v: Array, z: Array, otherwise: Array) -> Array:
    """``z`` where there is a value ``v``, which NaN is not."""
    return xp.where(v == v, z, otherwise)


# numbers ----------------------------------------------------------------------------------------


def linear(xp: XP, v: Array, centre: Array, width: Array) -> Array:
    return within(xp, (v - centre) / width, -MOST, MOST)


def smooth_clip(xp: XP, z: Array) -> Array:
    # Holzmueller et al. 2024: z / sqrt(1 + (z / 3)^2), for z within MOST
    u = z / CLIP
    return z / xp.sqrt(1.0 + u * u)


def robust(xp: XP, v: Array, centre: Array, width: Array) -> Array:
    return smooth_clip(xp, linear(xp, v, centre, width))


def number(xp: XP, v: Array, centre: Array, width: Array) -> Array:
    """Scaled robustly; 0 where it is missing, which is the median."""
    return known_or(xp, v, robust(xp, v, centre, width), 0.0)


def one_of_two(xp: XP, v: Array, centre: Array, width: Array) -> Array:
    """-1 and 1 of two values, what is between in between; 0 where it is missing."""
    return known_or(xp, v, within(xp, linear(xp, v, centre, width), -1.0, 1.0), 0.0)


def standardised_tail(xp: XP, v: Array, low: Array, high: Array, mean: Array, std: Array) -> Array:
    """Standardised between ``low`` and ``high``; beyond, it grows as the logarithm."""
    kept = within(xp, v, low, high)
    over = xp.log1p(xp.minimum(xp.abs(v - kept) / std, MOST))
    return (kept - mean) / std + xp.where(v < mean, -over, over)


def tail(
    xp: XP, v: Array, least: Array, most: Array, low: Array, high: Array, mean: Array, std: Array
) -> Array:
    """`standardised_tail` within the range of the training rows; 0 where it is missing."""
    z = standardised_tail(xp, within(xp, v, least, most), low, high, mean, std)
    return known_or(xp, v, z, 0.0)


def gap(xp: XP, v: Array, off: Array, on: Array) -> Array:
    """Whether a number or a date is missing."""
    return known_or(xp, v, off, on)


def standardised(xp: XP, v: Array, scale: Array, mean: Array, std: Array) -> Array:
    """Of pixels."""
    return (v * scale - mean) / std


# categories -------------------------------------------------------------------------------------


def one_hot(
    xp: XP, v: Array, place: Array, off: Array, on: Array, other: Array, absent: Array
) -> Array:
    """``on`` at its own place, ``other`` of a category that no training row has, else ``off``."""
    elsewhere = xp.where(v == OTHER, other, xp.where(v == MISSING, absent, off))
    return xp.where(v == place, on, elsewhere)


def code(xp: XP, v: Array, absent: Array) -> Array:
    """Places from 1 on, 0 for what no training row has."""
    return xp.where(v == MISSING, absent, v + 1.0)


def category_gap(xp: XP, v: Array, off: Array, on: Array) -> Array:
    """Whether a category is missing."""
    return xp.where(v == MISSING, on, off)


# dates ------------------------------------------------------------------------------------------


def floor(xp: XP, a: Array) -> Array:
    r = xp.round(a)
    return xp.where(r > a, r - 1.0, r)


def quotient(xp: XP, a: Array, by: int) -> Array:
    """``a // by`` of whole numbers: what is rounded is never half way between two."""
    return xp.round((a - (by - 1) / 2) / by)


def day(xp: XP, v: Array) -> Array:
    """Days since 1970, hours included."""
    return within(xp, v, -MOST_DAYS, MOST_DAYS)


def hour(xp: XP, v: Array) -> Array:
    v = day(xp, v)
    return (v - floor(xp, v)) * 24.0


def weekday(xp: XP, v: Array) -> Array:
    """0 for Monday; 1970-01-01 was a Thursday."""
    a = floor(xp, day(xp, v)) + 3.0
    return a - 7.0 * quotient(xp, a, 7)


def civil(xp: XP, v: Array) -> tuple[Array, Array]:
    """The year of an era and the day of the year, of years that begin with March.

    Hinnant's ``civil_from_days``. An era is 400 years, or 146,097 days.
    """
    a = floor(xp, day(xp, v)) + 719468.0
    a = a - 146097.0 * quotient(xp, a, 146097)
    leap_days = quotient(xp, a, 1460) - quotient(xp, a, 36524) + quotient(xp, a, 146096)
    year = quotient(xp, a - leap_days, 365)
    begun = 365.0 * year + quotient(xp, year, 4) - quotient(xp, year, 100)
    return year, a - begun


def day_of_year(xp: XP, v: Array) -> Array:
    """0 for the first of January."""
    year, since_march = civil(xp, v)
    # of an era's years, those that 4 divides are leap years, but not 100, 200 and 300
    leap = xp.where(year == 4.0 * quotient(xp, year, 4), 1.0, 0.0)
    leap = xp.where(year == 100.0 * quotient(xp, year, 100), 0.0, leap)
    february = xp.where(year == 0.0, 60.0, 59.0 + leap)
    return xp.where(since_march < 306.0, since_march + february, since_march - 306.0)


def day_of_month(xp: XP, v: Array) -> Array:
    """1 for the first."""
    _, since_march = civil(xp, v)
    month = quotient(xp, 5.0 * since_march + 2.0, 153)
    return since_march - quotient(xp, 153.0 * month + 2.0, 5) + 1.0


def span(xp: XP, v: Array, least: Array, most: Array, centre: Array, width: Array) -> Array:
    """A part of dates, within the range of the training rows; 0 where it is missing."""
    return number(xp, within(xp, v, least, most), centre, width)


def sine(xp: XP, v: Array, period: Array) -> Array:
    """0 where it is missing, as the cosine."""
    return known_or(xp, v, xp.sin_turns(v / period), 0.0)


def cosine(xp: XP, v: Array, period: Array) -> Array:
    return known_or(xp, v, xp.cos_turns(v / period), 0.0)


def of_weekday(
    xp: XP,
    v: Array,
    monday: Array,
    tuesday: Array,
    wednesday: Array,
    thursday: Array,
    friday: Array,
    saturday: Array,
    sunday: Array,
    absent: Array,
) -> Array:
    """The one of the values that belongs to a `weekday`."""
    z = known_or(xp, v, monday, absent)
    for place, value in enumerate((tuesday, wednesday, thursday, friday, saturday, sunday), 1):
        z = xp.where(v == float(place), value, z)
    return z
