from __future__ import annotations

import pytest
from textual import constants

from tui import shims


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [({}, 0.025), ({"SSH_CONNECTION": "a 1 b 22"}, 0.05), ({"ESCDELAY": "300"}, 0.1), ({"ESCDELAY": ""}, 0.025)],
)
def test_how_long_a_bare_escape_is_waited_for(
    environ: dict[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.1)
    shims.answer_escape_soon(environ)
    assert seconds == constants.ESCAPE_DELAY
