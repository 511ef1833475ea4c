"""What a screen throws away, thrown away little by little: all of it at once would hold a key up."""

from __future__ import annotations

import gc

_LITTLE = (2_000, 5, 50)


def throw_away_little_by_little() -> None:
    """Called once all is imported; what is there by then is never garbage, and no collection need look at it.

    A paint leaves thousands of objects that hold each other, and what a dashboard knows of a run is as many that stay:
    so the young ones are looked at often, all of them seldom.
    """
    gc.freeze()
    gc.set_threshold(*_LITTLE)
