"""Why something did not work, for people."""

from __future__ import annotations


def why(error: Exception) -> str:
    """The reason of a failure in a few words."""
    if isinstance(error, FileNotFoundError):
        return "not there"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
