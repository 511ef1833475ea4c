"""The one table of keys: what dispatches a key, what the help, the key line, the palette and the docs say of it.

An action's id never changes, so that a person's own keymap survives an upgrade. Its part behind the dot names the
method that does it (`log.page-up` is `action_page_up`) on the widget or app that owns the pane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.binding import Binding


@dataclass(frozen=True)
class Action:
    """Something that a key does.

    Attributes:
        id: `pane.name`, for ever.
        keys: As the framework spells them; the first one is shown.
        pane: Where it works: "app" is everywhere.
        label: One or two words for the key line.
        help: What it does, for help and palette: a sentence without its full stop.
        group: Heading in the help.
        danger: It changes something on disk or on a host: a capital letter, asked before, dim in read-only mode.
        rank: The key line shows those with a rank, lowest first, as many as fit; 0 is never shown there.
    """

    id: str
    keys: tuple[str, ...]
    pane: str
    label: str
    help: str
    group: str = ""
    danger: bool = False
    rank: int = 0

    @property
    def method(self) -> str:
        """The framework's name of what does it."""
        return self.id.partition(".")[2].replace("-", "_")


def _actions(pane: str, group: str, *rows: tuple[str, str, str, str, int]) -> tuple[Action, ...]:
    return tuple(
        Action(f"{pane}.{name}", tuple(keys.split()), pane, label, text, group, rank=rank)
        for name, keys, label, text, rank in rows
    )


ACTIONS: tuple[Action, ...] = (
    *_actions(
        "log",
        "Move",
        ("up", "up k", "up", "up one row; with a line marked for detail or selection, one line", 0),
        ("down", "down j", "down", "down one row, or one line", 0),
        ("page-up", "pageup b ctrl+b", "page up", "up one page", 0),
        ("page-down", "pagedown ctrl+f", "page down", "down one page", 0),
        ("half-up", "ctrl+u", "half up", "up half a page", 0),
        ("half-down", "ctrl+d", "half down", "down half a page", 0),
        ("home", "g home", "top", "the top of the log", 12),
        ("end", "G end", "end", "the end of the log, and follow it", 11),
        ("left", "left", "left", "show what is further left of unwrapped lines", 0),
        ("right", "right", "right", "show what is further right of unwrapped lines", 0),
        ("follow", "f", "follow", "follow the end, or stay here", 2),
        ("go", "at", "go to", "go to a time (14:02, -10m), a line number (1234) or a share (48%)", 9),
        ("bookmark", "m", "mark", "set a bookmark on the line, or take it off", 13),
        ("next-bookmark", "apostrophe", "next mark", "next bookmark", 0),
        ("previous-bookmark", "M", "previous mark", "previous bookmark", 0),
    ),
    *_actions(
        "log",
        "Find",
        ("find", "slash", "find", "find words or, with ctrl+r, a regular expression", 1),
        ("next", "n", "next", "next line found", 0),
        ("previous", "N", "previous", "previous line found", 0),
        ("next-error", "e", "error", "next error", 4),
        ("previous-error", "E", "previous error", "previous error", 0),
        ("next-warning", "right_square_bracket", "warning", "next warning or error", 0),
        ("previous-warning", "left_square_bracket", "previous warning", "previous warning or error", 0),
    ),
    *_actions(
        "log",
        "Filter",
        ("filter", "ampersand", "filter", "show only lines that hold these words; ! before them inverts", 3),
        ("filter-out", "exclamation_mark", "filter out", "hide lines that hold these words", 0),
        ("level", "l", "level", "show only lines of this level or above: any, info, warning, error", 7),
        ("context", "c", "context", "show 0, 1, 3 or 10 lines around each line that passes", 0),
        ("since", "less_than_sign", "since", "hide what is before a time or, given nothing, before the line", 0),
        ("until", "greater_than_sign", "until", "hide what is behind a time or, given nothing, behind the line", 0),
        ("unfilter", "backspace", "unfilter", "take the newest filter away", 0),
    ),
    *_actions(
        "log",
        "Show",
        ("detail", "enter", "whole line", "the whole line in a pane of its own; again closes it", 6),
        ("wrap", "w", "wrap", "wrap long lines, or not", 5),
        ("numbers", "number_sign", "numbers", "line numbers, or none", 0),
        (
            "times",
            "t",
            "times",
            "off, when a line came, time since the one before, and both as the lines say themselves",
            8,
        ),
        ("pause", "space", "pause", "stop painting, and go on; reading never stops", 10),
    ),
    *_actions(
        "log",
        "Take along",
        ("select", "V", "select", "select lines with up and down", 0),
        ("select-up", "shift+up", "select up", "select one line more upwards", 0),
        ("select-down", "shift+down", "select down", "select one line more downwards", 0),
        ("copy", "y", "copy", "copy the selection, or the line", 14),
        ("save", "S", "save", "write what the filter shows to a new file; asks for its name", 0),
        ("pager", "v", "pager", "open in $PAGER at the line", 0),
        ("editor", "o", "editor", "open in $EDITOR at the line", 0),
        ("back", "escape", "back", "one layer back: selection, detail, found lines", 0),
    ),
    *_actions(
        "tail",
        "Its host",
        ("look", "r", "look now", "try the host now; what was left unanswered is asked again", 5),
    ),
    *_actions(
        "detail",
        "The whole line",
        ("up", "up k", "up", "up one row", 0),
        ("down", "down j", "down", "down one row", 0),
        ("page-up", "pageup b", "page up", "up one screen, or to the page before", 0),
        ("page-down", "pagedown", "page down", "down one screen, or to the next page", 0),
        ("home", "g home", "top", "the line's beginning", 0),
        ("end", "G end", "end", "the line's end", 0),
        ("view", "x", "text, fields, bytes", "as text, field by field, or byte by byte", 2),
        ("copy", "y", "copy", "copy the line", 3),
        ("close", "escape enter", "close", "back to the log", 1),
    ),
    *_actions(
        "ask",
        "While typing",
        ("take", "enter", "take it", "take what was typed", 1),
        ("cancel", "escape ctrl+c", "cancel", "close the line, and go back to where you were", 2),
        ("regex", "ctrl+r", "regex", "words as they are, or a regular expression", 3),
        ("case", "ctrl+t", "case", "smart case (capitals matter once you type one), always, never", 4),
        ("older", "up", "older", "what was typed before", 5),
        ("newer", "down", "newer", "what was typed after it", 0),
    ),
    *_actions(
        "secret",
        "A secret",
        ("answer", "enter", "answer", "hand over what was typed; it is used once and kept nowhere", 1),
        ("no", "escape", "not now", "leave it unanswered; r looks again and asks again", 2),
    ),
    *_actions(
        "stage",
        "Stage",
        ("up", "up k", "up", "the repeat above", 0),
        ("down", "down j", "repeat", "the repeat below", 2),
        ("log", "enter", "its log", "the log of the chosen repeat; escape comes back", 1),
        ("page-up", "pageup b ctrl+b", "page up", "up one page of the metrics", 0),
        ("page-down", "pagedown ctrl+f", "page", "down one page of the metrics", 3),
        ("half-up", "ctrl+u", "half up", "up half a page", 0),
        ("half-down", "ctrl+d", "half down", "down half a page", 0),
        ("home", "g home", "top", "the first metric", 0),
        ("end", "G end", "end", "the last metric and the notes", 0),
        ("previous", "left_curly_bracket", "previous stage", "the stage before this one", 0),
        ("next", "right_curly_bracket", "next stage", "the stage behind this one", 4),
        ("look", "r", "look", "look at the run, and read the test files, now", 5),
        ("back", "escape", "back", "back to the run", 6),
    ),
    *_actions(
        "form",
        "New run",
        ("back", "escape", "leave", "leave without starting anything", 3),
        ("check", "enter", "check", "check on the host whether it could start; then it asks", 1),
        ("next", "tab down", "next", "the next field", 2),
        ("previous", "shift+tab up", "previous", "the field before", 0),
        ("page-up", "pageup", "page up", "up one page of what the host says", 0),
        ("page-down", "pagedown", "page down", "down one page of what the host says", 0),
    ),
    *_actions(
        "resume",
        "Start it?",
        ("answer", "enter", "answer", "take the answer that is pointed at", 1),
        ("no", "escape n", "no", "leave without starting anything", 3),
        ("next", "tab right", "the other", "to the other answer", 2),
        ("previous", "shift+tab left", "the other", "to the other answer", 0),
        ("up", "up k", "up", "up one row of what is asked", 0),
        ("down", "down j", "down", "down one row of what is asked", 0),
        ("page-up", "pageup", "page up", "up one page of what is asked", 0),
        ("page-down", "pagedown", "page down", "down one page of what is asked", 0),
    ),
    *_actions(
        "prompt",
        "Apply",
        ("take", "enter", "take it", "take the answer that is marked; what writes is never marked first", 1),
        ("down", "down j", "move", "the next answer; while a change is shown, one row down", 2),
        ("up", "up k", "up", "the answer before; while a change is shown, one row up", 0),
        ("right", "right l tab", "right", "the answer beside; at a question, the next one that was answered", 0),
        ("left", "left h shift+tab", "left", "the answer beside; at a question, the one before", 0),
        ("back", "backspace b", "back", "one step back; what was answered is kept", 3),
        ("page-down", "pagedown", "page down", "down one page of what is shown", 0),
        ("page-up", "pageup", "page up", "up one page of what is shown", 0),
        ("home", "g home", "top", "the top of what is shown", 0),
        ("end", "G end", "end", "the end of what is shown", 0),
        ("no", "n", "no", "mark the answer that changes nothing", 0),
        ("yes", "Y", "yes", "mark the answer that writes; Enter then takes it", 0),
        ("leave", "escape", "leave", "leave without changing anything", 4),
    ),
    *_actions(
        "prompt-number",
        "A threshold of your own",
        ("take", "enter", "take it", "take the number", 1),
        ("cancel", "escape", "back", "back to the answers", 2),
    ),
    *_actions(
        "matrix",
        "Stages and repeats",
        ("up", "up k", "up", "the stage above", 0),
        ("down", "down j", "down", "the stage below", 0),
        ("left", "left h", "left", "the repeat before", 0),
        ("right", "right l", "right", "the repeat after", 0),
        ("page-up", "pageup b ctrl+b", "page up", "up one page of stages", 0),
        ("page-down", "pagedown ctrl+f", "page down", "down one page of stages", 0),
        ("home", "g home", "top", "the first stage", 0),
        ("end", "G end", "end", "the last stage", 0),
        ("open", "enter", "why", "all of the stage: its repeats, its thresholds, what would be written", 1),
        ("next-fault", "e", "fault", "the next repeat that is not well", 3),
        ("previous-fault", "E", "previous fault", "the repeat before that is not well", 0),
    ),
    *_actions(
        "run",
        "This run",
        ("next-stage", "right_curly_bracket", "stage", "the next stage; its own log is shown", 0),
        ("previous-stage", "left_curly_bracket", "previous stage", "the stage before", 0),
        ("back", "escape", "back", "out of zoom, back to what runs now, and then out of the run", 2),
        ("next-pane", "tab", "pane", "the next pane", 6),
        ("previous-pane", "shift+tab", "pane", "the pane before", 0),
        ("pane-matrix", "1", "stages", "the stage matrix", 0),
        ("pane-supervision", "2", "supervision", "the log of what runs right now", 0),
        ("pane-job", "3", "job", "the milestones of the job", 0),
        ("zoom", "z", "zoom", "the pane alone, and all of them again", 4),
        ("look", "r", "look", "look at the run now", 5),
        ("pause", "space", "pause", "stop painting, and go on; watching never stops", 8),
        ("seen", "x", "seen", "take away the line that says what changed while nobody looked", 0),
        ("hosts", "H", "hosts", "every host: how it is reached, its accelerators, who holds them", 9),
    ),
    *(
        Action(f"run.{name}", (key,), "run", label, text, "Act: asks first", danger=True)
        for name, key, label, text in (
            ("apply", "A", "apply", "see what would be written into the test files, and decide"),
            ("resume", "R", "resume", "see how a run that died or was stopped would go on, and decide"),
            ("new", "N", "new run", "fill in the form for a new run"),
        )
    ),
    *_actions(
        "home",
        "Home",
        ("up", "up k", "up", "the row above", 0),
        ("down", "down j", "down", "the row below", 0),
        ("page-up", "pageup ctrl+b", "page up", "up one page", 0),
        ("page-down", "pagedown ctrl+f", "page down", "down one page", 0),
        ("home", "g home", "top", "the first row", 0),
        ("end", "G end", "end", "the last row", 0),
        ("open", "enter", "go in", "go into the run; escape comes back", 1),
        ("unfold", "u", "unfold", "show the calm ones one by one, or as one", 3),
        ("poll", "r", "look now", "look at every host now", 4),
        ("hosts", "H", "hosts", "every host: how it is reached, its accelerators, who holds them", 5),
    ),
    Action(
        "home.new", ("N",), "home", "new run", "start a new run; asks before it starts", "Home", danger=True, rank=2
    ),
    *_actions(
        "hosts",
        "Hosts",
        ("up", "up k", "up", "the row above", 0),
        ("down", "down j", "down", "the row below", 0),
        ("left", "left h", "left", "the GPU before", 0),
        ("right", "right l", "right", "the GPU after", 0),
        ("page-up", "pageup ctrl+b", "page up", "up one page", 0),
        ("page-down", "pagedown ctrl+f", "page down", "down one page", 0),
        ("home", "g home", "top", "the first host", 0),
        ("end", "G end", "end", "the last host", 0),
        ("open", "enter", "host", "all of the chosen host: meters, histories, processes, runs", 1),
        ("table", "t", "table", "a table with a line a host, or the grid with a cell a GPU", 2),
        (
            "filter",
            "slash",
            "filter",
            "show only hosts that hold these words, anywhere: name, state, GPU, user, run",
            3,
        ),
        ("order", "o", "order", "sort by the next thing: name, state, free GPUs, how busy, memory, load, disk", 4),
        ("reverse", "O", "reverse", "the same order from its other end", 0),
        ("next-trouble", "e", "trouble", "the next host that wants somebody", 5),
        ("previous-trouble", "E", "previous trouble", "the host before that wants somebody", 0),
        ("measure", "m", "memory/busy", "cells show how full each GPU is, or how busy", 7),
        ("follow", "f", "follow", "follow a file of the chosen host; asks for its path", 8),
        ("poll", "r", "look now", "look at every host now", 6),
        ("back", "escape", "back", "one layer back: the filter, then out of the hosts", 9),
    ),
    *_actions(
        "host",
        "This host",
        ("up", "up k", "up", "the line above", 0),
        ("down", "down j", "down", "the line below", 0),
        ("page-up", "pageup b ctrl+b", "page up", "up one page", 0),
        ("page-down", "pagedown ctrl+f", "page down", "down one page", 0),
        ("home", "g home", "top", "the top", 0),
        ("end", "G end", "end", "the end", 0),
        ("open", "enter", "go in", "go into the run of the chosen line, or its whole log", 1),
        ("logs", "l", "logs", "the ends of the logs that are written here; again for the next one", 3),
        (
            "follow",
            "f",
            "follow",
            "follow a file of this host, such as the log of the chosen run; asks for its path",
            4,
        ),
        ("previous", "left_curly_bracket", "previous host", "the host before this one", 0),
        ("next", "right_curly_bracket", "next host", "the host behind this one", 5),
        ("poll", "r", "look now", "look at this host now", 6),
        ("back", "escape", "back", "back to all hosts", 2),
    ),
    *_actions(
        "supervision",
        "The log of what runs",
        ("live", "escape", "live", "from a pinned log back to the log of what runs now", 2),
    ),
    *_actions(
        "job",
        "Milestones",
        ("up", "up k", "up", "up one line, and stay there", 0),
        ("down", "down j", "down", "down one line", 0),
        ("page-up", "pageup b ctrl+b", "page up", "up one page", 0),
        ("page-down", "pagedown ctrl+f", "page down", "down one page", 0),
        ("home", "g home", "top", "the oldest milestone", 4),
        ("end", "G end", "end", "the newest milestone, and follow", 3),
        ("follow", "f", "follow", "follow the newest, or stay here", 1),
        ("copy", "y", "copy", "copy the line", 2),
        ("back", "escape", "back", "back to the newest", 0),
    ),
    *_actions(
        "app",
        "Everywhere",
        ("help", "question_mark f1", "help", "the keys of the pane that has the focus", 20),
        ("palette", "ctrl+p colon", "commands", "everything that can be done, by name", 0),
        ("share", "s", "share", "cover hosts, logins, addresses and paths, and change nothing; again ends it", 0),
        ("leave", "q ctrl+q", "quit", "quit; jobs go on", 21),
        ("interrupt", "ctrl+c", "quit", "quit at once, with exit code 130", 0),
    ),
)
"""Every action of every pane, in the order of the help."""

_SPELLED: Mapping[str, str] = {
    "ampersand": "&",
    "apostrophe": "'",
    "at": "@",
    "colon": ":",
    "down": "↓",
    "end": "End",
    "enter": "↵",
    "escape": "Esc",
    "backspace": "⌫",
    "exclamation_mark": "!",
    "f1": "F1",
    "greater_than_sign": ">",
    "home": "Home",
    "left": "←",
    "left_curly_bracket": "{",
    "left_square_bracket": "[",
    "less_than_sign": "<",
    "number_sign": "#",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "question_mark": "?",
    "right": "→",
    "right_curly_bracket": "}",
    "right_square_bracket": "]",
    "slash": "/",
    "up": "↑",
}
_PLAIN: Mapping[str, str] = {
    "↓": "Down",
    "↵": "Enter",
    "⌫": "Backspace",
    "←": "Left",
    "→": "Right",
    "↑": "Up",
}


def actions(*panes: str) -> tuple[Action, ...]:
    """The actions of these panes, in the table's order."""
    return tuple(action for action in ACTIONS if action.pane in panes)


def action(name: str) -> Action:
    """One action by its id.

    Raises:
        KeyError: There is none of this id.
    """
    for known in ACTIONS:
        if known.id == name:
            return known
    raise KeyError(name)


def spelled(key: str, *, ascii_only: bool = False) -> str:
    """How a person reads a key: `shift+up` is `shift+↑`, `at` is `@`."""
    *modifiers, last = key.split("+")
    shown = _SPELLED.get(last, last)
    return "+".join([*modifiers, _PLAIN.get(shown, shown) if ascii_only else shown])


def key_line(chosen: Sequence[Action], width: int, *, ascii_only: bool = False) -> tuple[tuple[str, Action], ...]:
    """What fits into one row of `width` cells, in order of rank: each key as it is read, and its action.

    Each takes its key, its label and two blanks. The app's own (help and quit) have their room kept.
    """
    ranked = sorted((one for one in chosen if one.rank), key=lambda one: one.rank)
    pairs = [(spelled(one.keys[0], ascii_only=ascii_only), one) for one in ranked]
    kept = [pair for pair in pairs if pair[1].pane == "app"]
    room = width - sum(map(_cells, kept))
    if room < 0:
        return tuple(kept[:1])
    shown = []
    for pair in pairs:
        if pair[1].pane != "app":
            room -= _cells(pair)
            if room < 0:
                break
            shown.append(pair)
    return (*shown, *kept)


def _cells(pair: tuple[str, Action]) -> int:
    return len(pair[0]) + len(pair[1].label) + 2


def bindings(*panes: str) -> list[Binding]:
    """The framework's bindings of these panes, each under its action's id."""
    from textual.binding import Binding

    return [
        Binding(",".join(one.keys), one.method, one.label, show=False, tooltip=one.help, id=one.id)
        for one in actions(*panes)
    ]
