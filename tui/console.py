"""The one module that writes to a terminal outside the app: data to stdout, everything else to stderr.

Text from outside is cleaned here, at the last step before the terminal (SAFETY T1), so that no caller can
forget it. A reader that went away (`gatewatch … | head`) is no error: what is left is dropped in silence, and
the command ends with the exit code of what it found.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
import traceback
from collections.abc import Collection, Iterable, Sequence
from typing import TextIO

from tui.sanitise import clean_inline, redact

PROGRAM = "gatewatch"


def error(message: str) -> None:
    """Say on stderr, in one line, what went wrong."""
    _say(f"error: {message}")


def warn(message: str) -> None:
    """Say on stderr, in one line, what looks wrong and stops nothing."""
    _say(f"warning: {message}")


def milestone(message: str) -> None:
    """Say on stderr, in one line, what has just happened."""
    _say(message)


def is_heard(patience: float = 0.0) -> bool:
    """Whether a line on stderr has room now, so that saying it does not wait for a reader that stands still.

    Args:
        patience: Seconds to wait for room; with any, not for the event loop.
    """
    try:
        return bool(select.select([], [sys.stderr], [], patience)[1])
    except (OSError, ValueError):
        return True  # nothing that a reader could hold up


def print_traceback() -> None:
    """Show on stderr the traceback of the exception that is being handled; for `--debug` only."""
    for line in traceback.format_exc().splitlines():
        _write(sys.stderr, clean_inline(redact(line)) + "\n")


def prompt(question: str) -> None:
    """Ask on stderr; the answer is typed behind it."""
    _write(sys.stderr, f"{clean_inline(redact(question))} ")
    sys.stderr.flush()


def print_text(*lines: str) -> None:
    """Write lines for a person to stdout; control characters of any kind are made visible or dropped."""
    for line in lines:
        _write(sys.stdout, safe_line(line) + "\n")


def safe_line(text: str) -> str:
    """One line of others as it may be shown, without its newline."""
    return clean_inline(redact(text), limit=None)


def print_bytes(data: bytes, stream: TextIO) -> bool:
    """Write bytes: to a program those of others as they are, to a terminal only what `safe_line` made.

    Returns:
        False where nobody reads them any more.

    Raises:
        OSError: They could not be kept; nothing more is tried.
    """
    try:
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()
    except BrokenPipeError:
        _abandon(stream)
        return False
    except OSError as error:
        raise _lost(stream, error) from error
    return True


def print_json(value: object) -> None:
    """Write one JSON document to stdout, without the secrets that its texts may hold (SAFETY C5).

    Non-ASCII text is escaped: a terminal must not meet C1 controls or bidirectional marks in a data stream.

    Raises:
        ValueError: The value holds NaN or an infinity, which JSON does not have.
    """
    _write(sys.stdout, json.dumps(_redacted(value), indent=2, ensure_ascii=True, allow_nan=False) + "\n")


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redacted(item) for key, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, (list, tuple)) else value


def print_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    stream: TextIO | None = None,
    whole: Collection[str] = (),
) -> None:
    """Write aligned columns; on a terminal the widest ones are cut to its width, elsewhere all is there.

    Args:
        heads: Column titles.
        rows: Cells as plain text, as many in each row as there are titles.
        stream: Where to; by default stdout.
        whole: Titles of the columns that are never cut.
    """
    from tui.cells import fit, shorten, width  # only a table needs to measure text

    stream = stream or sys.stdout
    table = [[clean_inline(redact(cell)) for cell in row] for row in (heads, *rows)]
    widths = [max(width(row[column]) for row in table) for column in range(len(heads))]
    if stream.isatty():
        room = shutil.get_terminal_size().columns - 2 * (len(heads) - 1)
        widths = fit(widths, room, [place for place, head in enumerate(heads) if head in whole])
    for row in table:
        cut = [shorten(cell, wide) for cell, wide in zip(row, widths, strict=True)]
        padded = (cell + " " * (wide - width(cell)) for cell, wide in zip(cut, widths, strict=True))
        _write(stream, "  ".join(padded).rstrip() + "\n")


def stand_in_for_closed() -> None:
    """Have nothing in place of the standard streams that were closed before we began; call it first.

    Otherwise the next file that is opened takes its descriptor, and is written into. What is written to standard
    output is an error as it was before: whoever wants that data does not get it.
    """
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            _to_nowhere(descriptor, os.O_RDONLY if name == "stdout" else os.O_RDWR)
            mode = "w" if descriptor else "r"
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def flush() -> None:
    """Write out what is still buffered; call it last, so that a full disk is not found out by the interpreter.

    Raises:
        OSError: What was written could not be kept; nothing more is tried.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _abandon(stream)
        except OSError as error:
            raise _lost(stream, error) from error


def _say(message: str) -> None:
    _write(sys.stderr, f"{PROGRAM}: {clean_inline(redact(message))}\n")


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    except BrokenPipeError:
        _abandon(stream)
    except OSError as error:
        raise _lost(stream, error) from error


def _lost(stream: TextIO, error: OSError) -> OSError:
    """What to raise where something could not be kept; nothing more is tried, so that it is told once."""
    _abandon(stream)
    name = "error" if stream is sys.stderr else "output"
    return OSError(f"cannot write to standard {name}: {error.strerror or error}")


def _abandon(stream: TextIO) -> None:
    # The descriptor, not the object: the interpreter flushes the stream once more when it ends.
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    _to_nowhere(descriptor)


def _to_nowhere(descriptor: int, mode: int = os.O_RDWR) -> None:
    sink = os.open(os.devnull, mode)
    os.dup2(sink, descriptor)
    if sink == descriptor:
        os.set_inheritable(sink, True)
    else:
        os.close(sink)
