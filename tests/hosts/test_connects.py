"""What several have a part in: made once, and ended by whoever gives the last part back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hosts.connects import Connects


def test_who_comes_later_has_a_part_in_what_is_there() -> None:
    connects, made = Connects(), iter("abc")
    first, leave_first = connects.share("h", lambda: next(made))
    second, leave_second = connects.share("h", lambda: next(made))
    other, leave_other = connects.share("other", lambda: next(made))
    assert (first, second, other) == ("a", "a", "b")
    assert [leave_first(), leave_first(), leave_other()] == [False, False, True], "each part is given back once"
    third, leave_third = connects.share("h", lambda: next(made))
    assert third == "a"
    assert [leave_second(), leave_third()] == [False, True]
    assert connects.share("h", lambda: next(made))[0] == "c", "what was ended is not handed out again"


def test_from_any_thread() -> None:
    connects, made = Connects(), []

    def use(_: int) -> bool:
        _held, leave = connects.share("h", lambda: made.append(1))
        return leave()

    _, leave = connects.share("h", lambda: made.append(1))
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(use, range(2_000)))
    assert leave()
    assert len(made) == 1
