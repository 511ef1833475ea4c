"""The stage matrix with what stands around it: how many stages are ready, and what the mark under the cursor means."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import DescendantBlur, DescendantFocus

from tui.screens.matrix import Matrix
from tui.screens.matrix_grid import Grid
from tui.screens.matrix_told import LEAST_ROWS, told
from tui.screens.pane_title import PaneTitle, Title
from tui.screens.run_facts import Clock
from tui.screens.run_ink import Row, Rows


class MatrixPane(Vertical):
    """The pane of the stages.

    Args:
        clock: The instant of a paint.
    """

    DEFAULT_CSS = """
    MatrixPane { width: 1fr; height: 1fr; }
    """

    def __init__(self, clock: Callable[[], Clock], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self.matrix = Matrix(lambda: clock().far)
        self._title = PaneTitle(Title("stages"))
        self._pointed = Rows()

    def compose(self) -> ComposeResult:
        yield self._title
        yield self.matrix
        yield self._pointed

    def show_grid(self, grid: Grid) -> None:
        """Show this from now on."""
        self.matrix.show_grid(grid)
        self._say()

    def on_matrix_view_pointed(self) -> None:
        """The cursor is somewhere else, or what it is on has changed."""
        self._say()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The title says who gets the keys."""
        self._say()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        """Likewise."""
        self._say()

    def _say(self) -> None:
        grid, matrix = self.matrix.grid, self.matrix
        ready = sum(row.stage.ready for row in grid.rows)
        main = f"{ready}/{len(grid.rows)} ready" if grid.rows else ""
        beyond = "" if matrix.live or not grid.rows else "Esc: live"
        self._title.say(Title("stages", main, right=(beyond,) if beyond else (), focused=matrix.has_focus))
        self._pointed.show_rows(self._told())

    def _told(self) -> list[Row]:
        """One row of what the mark means; all that is known of it where there is room below the stages."""
        matrix, app = self.matrix, self.app
        width, spare = self.size.width, self.size.height - 1 - matrix.wanted
        roomy = spare >= LEAST_ROWS and matrix.row is not None
        self.matrix.styles.height = matrix.wanted if roomy else "1fr"
        if not roomy or matrix.row is None:
            return [matrix.pointed(width)]
        plain = bool(getattr(app, "ascii_only", False))
        rows = told(matrix.grid, matrix.row, matrix.run, self._clock(), width, spare, plain)
        return rows or [matrix.pointed(width)]

    def natural(self) -> tuple[int, int]:
        """Cells that the stages would like to have: with their counts, and with durations and reasons too."""
        return self.matrix.natural()

    def on_resize(self) -> None:
        """What is said of the mark is cut to the room."""
        self._say()
