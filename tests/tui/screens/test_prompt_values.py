"""What was shown is what is written: a record that changes meanwhile ends the prompt, whatever the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.screens.applying import Lab, desk
from tui.screens.prompt_flow import Step


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.make(tmp_path)


async def test_a_record_with_other_values_is_not_written_over(lab: Lab) -> None:
    before = lab.sources()
    async with desk(lab) as at:
        await at.change()
        lab.write_cell("digits_accuracy", 1, metrics={"accuracy": 0.5})
        await at.write()
        assert "changed meanwhile" in at.said, at.shown
    assert lab.sources() == before


async def test_a_look_at_other_values_ends_it(lab: Lab) -> None:
    async with desk(lab) as at:
        await at.change()
        lab.write_cell("digits_accuracy", 1, metrics={"accuracy": 0.5})
        await at.look()
        assert at.step is Step.OVER
        assert "changed meanwhile" in at.said
