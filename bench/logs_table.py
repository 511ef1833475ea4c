"""The figures of bench/logs.py for a person: a table for every log and rate, with ratios to ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OURS = "gatewatch"
_WIDTH = 19

Format = Callable[[float], str]


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.0f} ms" if value >= 0.01 else f"{value * 1e3:.1f} ms"


def _bytes(value: float) -> str:
    return f"{value / 1e6:.1f} MB"


def _share(value: float) -> str:
    return f"{value * 100:.1f} %"


def _plain(value: float) -> str:
    return f"{value:.1f}"


def _times(value: float) -> str:
    return f"{value:.0f} times"


_STILL: tuple[tuple[str, str, Format], ...] = (
    ("first content", "first_content", _seconds),
    ("  processor time", "start_cpu", _seconds),
    ("an early key worked", "answers", _seconds),
    ("all lines counted", "counted", _seconds),
    ("memory then (USS)", "uss", _bytes),
    ("  without file pages", "own", _bytes),
    ("idle, of one core", "idle_cpu", _share),
    ("jump to the end", "end", _seconds),
    ("jump to the top", "top", _seconds),
    ("literal, hit at 48 %", "search", _seconds),
    ("regex, the same hit", "regex", _seconds),
    ("literal, whole log", "sought", _seconds),
    ("regex, whole log", "regex_sought", _seconds),
    ("memory after (USS)", "uss_after", _bytes),
    ("  without file pages", "own_after", _bytes),
    ("search cancelled", "cancel", _seconds),
    ("filter, whole log", "filtered", _seconds),
    ("memory then (USS)", "uss_filtered", _bytes),
    ("sparse filter, a line", "rare", _seconds),
    ("sparse, whole log", "rare_filtered", _seconds),
    ("load average", "load", _plain),
)
_FOLLOW: tuple[tuple[str, str, Format], ...] = (
    ("lag of the end mark", "lag", _seconds),
    ("of one core", "cpu", _share),
    ("memory then", "uss", _bytes),
    ("  since the middle", "uss_grown", _bytes),
    ("key, let go: p50", "scroll_p50", _seconds),
    ("key, let go: p99", "scroll_p99", _seconds),
    ("  processor time: p99", "scroll_cpu_p99", _seconds),
    ("key, following: p50", "ask_p50", _seconds),
    ("key, following: p99", "ask_p99", _seconds),
    ("  processor time: p99", "ask_cpu_p99", _seconds),
    ("moved under the reader", "moved", _times),
    ("load average", "load", _plain),
)
_LINES: tuple[tuple[str, str, Format], ...] = (
    ("p50", "p50", _seconds),
    ("p95", "p95", _seconds),
    ("load average", "load", _plain),
)
_PIPE: tuple[tuple[str, str, Format], ...] = (
    ("first byte", "first", _seconds),
    ("lag of the end mark", "lag", _seconds),
    ("load average", "load", _plain),
)


def quantile(values: list[float], share: float) -> float | None:
    """The value that `share` of the values do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def show(figures: dict[str, Any]) -> None:
    """Print all tables; in brackets how many times ours a peer's figure is."""
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    print(f"{versions}; Python {figures['python']}, {figures['cores']} cores, load {figures['load']:.1f} before")
    for line in figures["missing"]:
        print(line)
    for one in figures["still"]:
        if not one["viewers"]:
            continue
        print(f"\n{one['shape']}, {one['bytes'] / 1e9:.2f} GB, {one['lines']:,} lines")
        _table(one["viewers"], _STILL)
        tools = (f"{name} {_seconds(value)}" for name, value in one["tools"].items())
        print("  ".join(tools))
    for one in figures["follow"]:
        print(f"\n{one['rate']:,} lines/s of 100 bytes for {figures['seconds']:g} s")
        found = {name: _with_keys(viewer) for name, viewer in one["viewers"].items()}
        _table(found, _FOLLOW)
        _words("number of lines right", found, "right", {True: "yes", False: "NO", None: "—"})
    if figures["lines"]:
        print("\none line after another: written to seen")
        _table({name: _shares(one) for name, one in figures["lines"].items()}, _LINES)
    for one in figures["pipe"]:
        print(f"\n{one['rate']:,} lines/s into a pipe")
        _table(one["viewers"], _PIPE)
        _words("all bytes, each once", one["viewers"], "same_bytes", {True: "yes", False: "NO"})


def briefly_still(found: dict[str, Any]) -> str:
    """Figures of one viewer of a still log in one line."""
    return _briefly(found, _STILL)


def briefly_followed(found: dict[str, Any]) -> str:
    """Likewise of a growing one."""
    return _briefly(_with_keys(found), _FOLLOW)


def _briefly(found: dict[str, Any], rows: tuple[tuple[str, str, Format], ...]) -> str:
    known = ((words.strip(), form, found.get(name)) for words, name, form in rows)
    return ", ".join(f"{words} {form(value)}" for words, form, value in known if value is not None)


def _shares(found: dict[str, Any]) -> dict[str, Any]:
    seconds = [2.0 if value is None else value for value in found["seconds"]]
    return {**found, "p50": quantile(seconds, 0.5), "p95": quantile(seconds, 0.95)}


def _with_keys(found: dict[str, Any]) -> dict[str, Any]:
    named = dict(found)
    for name in ("scroll", "ask", "scroll_cpu", "ask_cpu"):
        named[f"{name}_p50"], named[f"{name}_p99"] = (quantile(found.get(name, []), share) for share in (0.5, 0.99))
    return named


def _table(viewers: dict[str, dict[str, Any]], rows: tuple[tuple[str, str, Format], ...]) -> None:
    print(f"{'':<24}" + "".join(f"{name:>{_WIDTH}}" for name in viewers))
    for words, name, form in rows:
        cells = (_cell(found.get(name), viewers.get(OURS, {}).get(name), form) for found in viewers.values())
        print(f"{words:<24}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells))


def _cell(value: float | None, ours: float | None, form: Format) -> str:
    if value is None:
        return "—"
    return form(value) if value is ours or not ours or form is _plain else f"{form(value)} ({value / ours:.2g}x)"


def _words(words: str, viewers: dict[str, dict[str, Any]], name: str, said: dict[bool | None, str]) -> None:
    cells = (said.get(found.get(name), "—") for found in viewers.values())
    print(f"{words:<24}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells))
