"""Where the rows of a log begin, in bytes.

A row begins at the log's first byte, after every newline, and at every multiple of BLOCK that has no newline in the
BLOCK bytes before it. So a row is shorter than two blocks, and where it begins is found by reading a bounded number
of bytes on either side, however long the line is.
"""

from __future__ import annotations

BLOCK = 1 << 20
"""Bytes of a block, the unit of counting, searching and filtering."""
