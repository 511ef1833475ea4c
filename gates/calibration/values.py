"""What is written for a metric, and what that does to its gate (spec/calibration.md, section 6).

Rounding is done in decimal, on the shortest text that gives the number back (`repr`): that is the number which
stands in result files and in sources. Rounding its binary value would move 0.0051 to 0.0052 and 2.675 to 2.67.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Literal, Union

Number = Union[int, float]
Worst = Literal["min", "max"]
Direction = Literal["tightens", "loosens", "equal", "unknown"]

WER, RELIABILITY, SPEED = "wer", "reliability", "speed"
EQUAL_WITHIN = 1e-12

_WER_STEP = Decimal("0.0001")
_ONE = Decimal(1)
_LONGEST_PLAIN = 24
_LARGEST_WHOLE = 2**63
_LONGEST_READ = 800
_INT = re.compile(r"-?(?:0|[1-9](?:_?[0-9])*)\Z")
_DIGITS = r"[0-9](?:_?[0-9])*"
_POWER = rf"[eE][+-]?{_DIGITS}"
_FLOAT = re.compile(rf"-?(?:(?:(?:{_DIGITS})?\.{_DIGITS}|{_DIGITS}\.)(?:{_POWER})?|{_DIGITS}{_POWER})\Z")
_EXPONENT = re.compile(r"[eE](?P<exponent>[+-]?[0-9_]+)\Z")


def finite(value: object) -> Number:
    """A finite number, unchanged but for the sign of a zero.

    Raises:
        ValueError: It is no number (a boolean is none), NaN, infinite or beyond what a double holds.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"not a number: {type(value).__name__}")
    try:
        fits = math.isfinite(float(value))
    except OverflowError:
        fits = False
    if not fits:
        raise ValueError("not a finite number")
    return value if value != 0 else abs(value)


def is_count(digits: int, scale: Number) -> bool:
    """True for a metric that counts something: it is shown as it is, without digits after the point."""
    return digits == 0 and scale == 1


def worst_of(values: Iterable[object], worst: Worst) -> Number:
    """The worst of several values; their order does not matter.

    Raises:
        ValueError: There is none, or one of them is missing or not finite.
    """
    found = [finite(value) for value in values]
    if not found:
        raise ValueError("no values")
    # 2 and 2.0 are the same value; which of them is returned must not hang on the order.
    ranked = sorted(found, key=lambda value: (value, isinstance(value, float)))
    if worst == "min":
        return ranked[0]
    return next(value for value in ranked if value == ranked[-1])


def rounded(value: Number, digits: int) -> Number:
    """A value at so many digits after the point, halves away from zero, as people round.

    Raises:
        ValueError: The value is not finite, or `digits` is negative.
    """
    if digits < 0:
        raise ValueError("digits must not be negative")
    value = finite(value)
    return value if isinstance(value, int) else _float(_to_step(value, _ONE.scaleb(-digits), ROUND_HALF_UP))


def shown(value: Number, scale: Number, digits: int) -> str:
    """A value as tables show it: times its scale, at its digits."""
    product = _exact().multiply(_decimal(value), _decimal(scale))
    return format(_zero(_exact().quantize(product, _ONE.scaleb(-digits))), "f")


def write_value(group: str, worst_raw: Number, worst: Worst, digits: int, count: bool) -> Number:
    """The reference to write for a worst raw value; never tighter than that value.

    Args:
        group: The stage's group. One that the page does not know is written at full precision.
        worst_raw: The worst strict repeat.
        worst: "min" for a lower bound, "max" for an upper one.
        digits: Digits after the point that a speed metric is shown with.
        count: The metric counts something, see `is_count`: a whole number stays one.

    Raises:
        ValueError: The value is not finite, or `digits` is negative.
    """
    value = finite(worst_raw)
    if digits < 0:
        raise ValueError("digits must not be negative")
    whole = group == RELIABILITY or (group == WER and count)
    if whole or (count and value == int(value)):
        return math.ceil(value) if worst == "max" else math.floor(value)
    if isinstance(value, int):
        return value
    outwards = ROUND_CEILING if worst == "max" else ROUND_FLOOR
    if group == WER:
        return _float(_to_step(value, _WER_STEP, outwards))
    if group == SPEED:
        near = rounded(value, digits)
        return value if tighter(worst, near, value) else near
    return value


def tighter(worst: Worst, value: Number, than: Number) -> bool:
    """True when a bound at `value` is missed by something that just meets one at `than`."""
    return value > than if worst == "min" else value < than


def direction(worst: Worst, old: Number | None, new: Number) -> Direction:
    """What replacing `old` by `new` does to the gate; unknown when the old value is not known.

    Raises:
        ValueError: The new value is not finite.
    """
    new = finite(new)
    try:
        old = finite(old)
    except ValueError:
        return "unknown"
    if abs(new - old) < EQUAL_WITHIN:
        return "equal"
    return "tightens" if tighter(worst, new, old) else "loosens"


def percent(old: Number, new: Number) -> float | None:
    """Change in percent of the old value's size, positive when the number grows; None for an old 0."""
    change = _change(old, new)
    return None if change is None else float(change)


def percent_text(old: Number, new: Number) -> str:
    """The change as the tables show it: `+2.1%`, or `n/a` for an old 0."""
    change = _change(old, new)
    if change is None:
        return "n/a"
    if abs(change) >= 10**9:
        return f"{change:+.1e}%"
    return f"{_exact().quantize(change, Decimal('0.1')):+f}%"


def direction_text(worst: Worst, old: Number | None, new: Number) -> str:
    """The direction as the applied table shows it: `tightens (+2.1%)`, `loosens (n/a)`, `equal`, `unknown`."""
    word = direction(worst, old, new)
    if old is None or word in ("equal", "unknown"):
        return word
    return f"{word} ({percent_text(old, new)})"


def literal_text(value: Number, like: str | None = None) -> str:
    """A number as Python source, in the style of the literal that it replaces; it reads back as exactly this value.

    A whole number stays one where a whole number stood, a fraction stays one; grouping by underscores and an
    exponent are kept. A value that does not fit the old style (0.5 where 1 stood) is written plainly.

    Args:
        value: Finite.
        like: The text of the literal that stands there, None when there is none to follow.
    """
    value = finite(value)
    styled = like is not None and is_number_text(like)
    whole = isinstance(value, int)
    if like is not None:
        whole = _INT.match(like) is not None or (not styled and like.lstrip("-")[:2].lower() in ("0x", "0o", "0b"))
    grouped = like is not None and styled and "_" in like
    if whole and value == int(value) and (isinstance(value, int) or abs(value) < _LARGEST_WHOLE):
        text = str(int(value))
    else:
        text = _fraction(float(value), like if styled else None)
        if float(text) != value:  # an int that no double holds
            text = str(value)
    return _grouped(text) if grouped else text


def is_number_text(text: str) -> bool:
    """True for a decimal number as Python source has it, with an optional minus and nothing around it."""
    return len(text) <= _LONGEST_READ and (_INT.match(text) is not None or _FLOAT.match(text) is not None)


def read_number_text(text: str) -> Number:
    """The number that a person typed, as Python would read it.

    Raises:
        ValueError: It is not a decimal number, or not a finite one.
    """
    if not is_number_text(text):
        raise ValueError("not a number")
    return finite(int(text) if _INT.match(text) else float(text))


def _exact(rounding: str = ROUND_HALF_UP) -> Context:
    """Wide enough for the quotient of the largest and the smallest double; of one's own, since it keeps flags."""
    return Context(prec=1400, rounding=rounding)


def _decimal(value: Number) -> Decimal:
    return Decimal(repr(finite(value)))


def _to_step(value: Number, step: Decimal, rounding: str) -> Decimal:
    number = _decimal(value)
    exponent, finest = number.as_tuple().exponent, step.as_tuple().exponent
    assert isinstance(exponent, int)
    assert isinstance(finest, int)
    return number if exponent >= finest else _exact(rounding).quantize(number, step)


def _zero(number: Decimal) -> Decimal:
    return number or abs(number)


def _float(number: Decimal) -> float:
    return float(_zero(number))


def _change(old: Number, new: Number) -> Decimal | None:
    before, after = _decimal(old), _decimal(new)
    if not before:
        return None
    return _exact().divide(_exact().multiply(_exact().subtract(after, before), Decimal(100)), abs(before))


def _fraction(value: float, like: str | None) -> str:
    """A float with a point or an exponent in it."""
    mark = _EXPONENT.search(like) if like is not None else None
    if mark is not None and abs(exponent := int(mark["exponent"])) <= 30:
        mantissa = format(Decimal(repr(value)).scaleb(-exponent, _exact()), "f")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        mantissa += ".0" if "." in (like or "") and "." not in mantissa else ""
        text = f"{mantissa}{mark[0]}"
        if len(text) <= _LONGEST_PLAIN and float(text) == value:
            return text
    plain = format(Decimal(repr(value)), "f")
    plain = plain if "." in plain else f"{plain}.0"
    return plain if len(plain) <= _LONGEST_PLAIN else repr(value)


def _grouped(text: str) -> str:
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    head = re.match(r"[0-9]*", digits)
    assert head is not None
    return f"{sign}{int(head[0]):_}{digits[head.end() :]}" if head[0] else text
