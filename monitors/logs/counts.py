"""Which text of a line that is rewritten is an older state of one that counts on, though its words are others.

A bar of which the description changes, `[3/9] a.c` and `[4/9] b.c`, what is cut at the edge of a terminal: what they
have in common is that they count, to the same total, and do not go back.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

from monitors.logs.bars import DIGITS, GLYPHS, LONGEST, STAMPED, VALUE, Look, bare, said, tallies

_COUNTS = 4  # in one text: Epoch 3/3, step 5/9
_NEAR = 16  # texts like one that was looked at
_COUNT = rb"(\d{1,12}(?:[.,]\d{1,12}){0,4})\s?([kKMGTP]?(?:i?B|b|bytes)?)"
_BAR_COUNT = re.compile(rb"\d{1,3}(?:\.\d{1,4})?\s?%\|[^|]{0,400}\|\s{0,9}" + _COUNT + rb"/" + _COUNT + rb"(?![\w.])")
_PLAIN_COUNT = re.compile(
    rb"(?<![\w.,/-])(?<!\d:)" + _COUNT + rb"(?:\s?/\s?| of )" + _COUNT + rb"(?![\w/]|[.:-]\d)"
    rb"|(?<![\w.,/-])(?<!\d:)(\d{1,3}(?:\.\d{1,4})?)\s?%"
)  # fmt: skip
_DATE = re.compile(rb"\d\d/\d\d\s\d\d:\d\d:\d\d")
_CLOCK = re.compile(rb"\d\d:\d\d:\d\d")
# Shares that are results and not progress: two of them are about two things
_MEASURE = re.compile(
    rb"(?<![a-z])(?:acc|accuracy|precision|recall|scores?|util|utili[sz]ation|usage|used|free|mem|memory|v?ram|cpu|gpu"
    rb"|disk|swap|load|hit|hits|rate|ratio|loss|f1|bleu|rouge|wer|cer|coverage|covered|match|matches|matched|passed"
    rb"|correct|sparsity|similarity|confidence)(?![a-z])"
)
_EMPTY_BAR = re.compile(rb"[|\[][\s#=>~*.\-]{2,99}[|\]]")
_SPINNERS = b"|/\\- "
_WORD = re.compile(rb"[A-Za-z\x80-\xff]{3,40}")
# Numbers of a name that tell one of very many: ids, files, layers. What is left tells ranks, epochs and processes.
_ONE_OF_MANY = re.compile(rb"\b[0-9a-fA-F]{8,64}\b|\d{3,20}|\d{1,2}(?=[\w-]{0,40}\.[A-Za-z])")
_SCALE = {b"k": 1e3, b"K": 1e3, b"M": 1e6, b"G": 1e9, b"T": 1e12, b"P": 1e15}
_LONGEST_TEXT = 4 * LONGEST


class Count(NamedTuple):
    """How far a text says that something is.

    Attributes:
        same: Equal for what counts to the same total behind the same words.
        kin: Equal also for other words, where these are most likely the next thing of the same count; None without.
        bare: Equal for all bars of a total, where a bar without a name counts on with one; None without.
        named: Whether there is a name.
        done: How much of it is done.
        full: Whether all of it is.
    """

    same: bytes
    kin: bytes | None
    bare: bytes | None
    named: bool
    done: float
    full: bool


class Counts:
    """What texts count; remembers what stands before their counts, since that is mostly the same."""

    def __init__(self) -> None:
        self._heads: dict[bytes, tuple[bytes, bytes, tuple[bytes, ...]] | None] = {}

    def of(self, text: bytes) -> Count | None:
        """What a text counts: `3/10`, `1.2 GB of 3 GB`, `12%`; None if it does not, or has a date or a result."""
        if len(text) > _LONGEST_TEXT:
            return None
        text = bare(text)
        found = _BAR_COUNT.search(text) if b"%|" in text else None
        drawn = found is not None
        if found is None:
            for found in islice(_PLAIN_COUNT.finditer(text), _COUNTS):
                if found[5] or found[1] != found[3]:
                    break
            if found is None or _DATE.match(text, found.start()):
                return None
        head = text[: found.start()]
        known = self._heads[head] if head in self._heads else self._heads.setdefault(head, _head(head))
        if known is None:
            return None
        name, word, numbers = known
        if not drawn and (
            _MEASURE.search(head[-24:].lower()) or _MEASURE.search(text[found.end() : found.end() + 12].lower())
        ):
            return None
        if not drawn and found[5]:
            goal, done, total = b"%", float(found[5]), 100.0
        else:
            goal = found[3] + found[4]
            done = _amount(found[1], found[2] or (b"" if drawn else found[4]))
            total = _amount(found[3], found[4])
        if not 0 <= done <= total or not total:
            return None
        kin = None
        # A share may be of a thing of its own, and bytes are of one download among others
        if goal.isdigit() or (goal == b"%" and (GLYPHS.search(text) or _EMPTY_BAR.search(text))):
            # A number that counts along is none of a rank
            told = [b"#" if abs(int(number) - done) <= 1 else number for number in numbers]
            alike = b"|" if drawn and b"#" not in told else word
            kin = b"\0".join((alike, b" ".join(told), goal)) if alike else None
        of_all = b"\0" + goal if drawn and goal.isdigit() else None
        return Count(name + b"\0" + goal, kin, of_all, bool(name), done, done >= total)


def _head(head: bytes) -> tuple[bytes, bytes, tuple[bytes, ...]] | None:
    """What stands before a count: as its name, its first word, and the numbers that tell it; None for a log's time."""
    if STAMPED.match(head) or _CLOCK.search(head):
        return None
    if not head.isascii():
        head = GLYPHS.sub(b"", head)
    if b"|" in head or b"[" in head:
        head = _EMPTY_BAR.sub(b"|", head)
    numbers: tuple[bytes, ...] = ()
    if DIGITS.search(head):
        head = VALUE.sub(b"", head)
        numbers = tuple(DIGITS.findall(_ONE_OF_MANY.sub(b"", head)))
    word = _WORD.search(head)
    return b" ".join(head.split()).lstrip(_SPINNERS), word[0] if word else b"", numbers


def _amount(number: bytes, unit: bytes) -> float:
    """A number that may have commas."""
    if not unit and number.isdigit():
        return int(number)
    number = number.replace(b",", b"")
    return (float(number) if number.count(b".") < 2 else -1.0) * _SCALE.get(unit[:1], 1.0)


class Reached:
    """How far the bars of a line get behind one of its texts: it is followed from its end on.

    Args:
        texts: Of a line.
        rows: Where they are painted.
        alone: No other line may be painted over by them.

    Attributes:
        alike: Texts like one that was added, the nearest last; few of them are looked at, and that only where needed.
    """

    def __init__(self, texts: list[bytes], rows: list[int], *, alone: bool) -> None:
        self._alone = alone
        self._met: set[bytes] = set()
        self._texts = texts
        self._rows = rows
        self._counts = Counts()
        self._furthest: dict[tuple[int, bytes], float] = {}
        self._worst: dict[tuple[object, bytes], int] = {}
        self._different: list[int] = []  # not looked at yet
        self._untold: list[int] = []  # looked at, but not for what went wrong
        self._dropped: set[tuple[int, bytes]] = set()
        self._asked = -1
        self.alike: list[int] = []

    def add(self, index: int) -> None:
        """Take in a text."""
        if index != self._asked:
            self._different.append(index)

    def soon(self, index: int, flat: bytes, seems: Look | None, *, hurry: bool) -> bool:
        """`behind`, for a text that was not looked at: where there may be no other like it, that is not worth its time.

        Args:
            index: Which text.
            flat: What `flatten` made of it.
            seems: What such a text is, if it is known.
            hurry: There is little time for further looks.
        """
        if not self._alone or not (b"%" in flat or b"/" in flat or b" of " in flat):
            return False
        if seems is not None:
            return seems.named and not (seems.says or seems.tallied) and self.behind(index, silent=True)
        if flat in self._met and not hurry:
            return False
        self._met.add(flat)
        return self.behind(index)

    def behind(self, index: int, *, silent: bool = False) -> bool:
        """Whether a later text counts on from this one, and this one says nothing else; takes it in.

        That any later one does, not the next: so it is the same for a line that was collapsed as it grew.

        Args:
            index: Which text.
            silent: It is known to say nothing else.
        """
        if index == self._asked:
            return False
        self._asked = index
        text = self._texts[index]
        count = self._counts.of(text)
        if count is None:
            return False
        wrong = said(text, silent=silent)
        found = wrong is not None and self._is_behind(index, count, wrong)
        if found:
            self._dropped.add((self._rows[index], count.same))
        self._note(index, count)
        return found

    def no_worse(self, sign: object, wrong: dict[bytes, int]) -> bool:
        """Whether what went wrong is also told by what was noted."""
        return all(self._worst.get((sign, word), 0) >= count for word, count in wrong.items())

    def note(self, sign: object, wrong: dict[bytes, int]) -> None:
        """Remember what a text tells of what went wrong."""
        for word, count in wrong.items():
            self._worst[sign, word] = max(count, self._worst.get((sign, word), 0))

    def _is_behind(self, index: int, count: Count, wrong: dict[bytes, int]) -> bool:
        row = self._rows[index]
        names = [(row, count.same)]
        if not count.full:
            names += [(row, name) for name in (count.kin, None if count.named else count.bare) if name is not None]
        if (row, count.same) in self._dropped and self._tells(names[0], wrong):
            return True  # a bar that began again, and what it came to then is not shown either
        near = _NEAR
        while True:
            for name in names:
                if self._furthest.get(name, -1.0) >= count.done and self._tells(name, wrong):
                    return True
            if self._different:
                other = self._different.pop()
            elif self.alike and near:
                near -= 1
                other = self.alike.pop()
            else:
                return False
            counted = self._counts.of(self._texts[other])
            if counted is not None:
                self._note(other, counted)

    def _note(self, index: int, count: Count) -> None:
        for name in _names(count):
            sign = (self._rows[index], name)
            self._furthest[sign] = max(count.done, self._furthest.get(sign, -1.0))
        self._untold.append(index)

    def _tells(self, name: tuple[int, bytes], wrong: dict[bytes, int]) -> bool:
        if not wrong:
            return True
        for index in self._untold:
            count = self._counts.of(self._texts[index])
            told = tallies(self._texts[index])
            for other in _names(count) if count is not None and told else ():
                self.note((self._rows[index], other), told)
        self._untold = []
        return self.no_worse(name, wrong)


def _names(count: Count) -> list[bytes]:
    return [name for name in (count.same, count.kin, count.bare) if name is not None]
