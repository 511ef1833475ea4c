"""What follows from a source file's facts: which literal a symbol means, and where a name comes from.

Pure, so that plan, discovery and report answer alike (spec/calibration.md, sections 2 and 6). What cannot be told
with certainty is a `Problem`, never a guess.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gates.calibration.facts import (
    KEYWORDS,
    Call,
    Constant,
    Entry,
    FactsError,
    Function,
    Import,
    Key,
    Name,
    Number,
    Other,
    Ref,
    SourceFacts,
    Table,
    Text,
    Value,
    parse_all,
    parse_facts,
)

__all__ = [
    "CONCURRENCY",
    "KEYWORDS",
    "Call",
    "Constant",
    "Entry",
    "FactsError",
    "Function",
    "Import",
    "Key",
    "Name",
    "Number",
    "Other",
    "Problem",
    "Ref",
    "SourceFacts",
    "Table",
    "Text",
    "Value",
    "import_paths",
    "literal",
    "lookup",
    "number_of",
    "parse_all",
    "parse_facts",
]

CONCURRENCY = "CONCURRENCY"
_MAX_HOPS = 20


@dataclass(frozen=True)
class Problem:
    """Why there is no one literal."""

    reason: str

    def __str__(self) -> str:
        return self.reason


def literal(
    facts: SourceFacts,
    symbol: str,
    subkey: str | None = None,
    outer: Key | None = None,
    names: Mapping[str, int | float] | None = None,
) -> Number | Problem:
    """The one literal that NAME, or NAME['key'], means in a file.

    Args:
        facts: Of the file that holds it.
        symbol: The module-level name.
        subkey: The inner key of a nested constant.
        outer: The key under which the inner one is looked for: the value of CONCURRENCY. None: a sole key is used.
        names: Values of names that the file imports and uses as keys (`number_of`).

    Returns:
        The literal with its place, or why it cannot be told with certainty.
    """
    if facts.error is not None:
        return Problem(f"{facts.path}: {facts.error}")
    bound = facts.named(symbol)
    if not bound:
        imported = any(one.alias == symbol for one in facts.imports)
        return Problem(
            f"{symbol} is imported into {facts.path}, not written there" if imported else _missing(facts, symbol)
        )
    if len(bound) > 1 or _rebound_by_import(facts, symbol):
        return Problem(_twice(facts, symbol, bound))
    found = _inner(facts, symbol, bound[0].value, subkey, outer, names or {})
    if isinstance(found, Number) and found.start < 0:
        return Problem(f"literals of {facts.path} cannot be located with certainty: {facts.unlocated or 'no offsets'}")
    return found


def lookup(facts_by_path: Mapping[str, SourceFacts], path: str, name: str) -> Constant | None:
    """What `name` means in the file at `path`, imports from inside the repository followed.

    Returns:
        The one binding; None where there is none, more than one, or its file is not among the facts.
    """
    found = _home(facts_by_path, path, name)
    return None if found is None else found[1]


def number_of(facts_by_path: Mapping[str, SourceFacts], path: str, name: str) -> Number | None:
    """The number behind `name` in the file at `path`, through imports and through `X = Y`; None where unresolved."""
    for _ in range(_MAX_HOPS):
        found = _home(facts_by_path, path, name)
        if found is None:
            return None
        path, constant = found
        if isinstance(constant.value, Number):
            return constant.value
        if not isinstance(constant.value, Name):
            return None
        name = constant.value.name
    return None


def import_paths(path: str, module: str, level: int) -> tuple[tuple[str, ...], ...]:
    """Where the module of an import in the file at `path` may lie.

    Returns:
        One group per folder that is searched (the repository; the file's own folder, which pytest adds). Within a
        group the first that exists is the module: a package goes before a file.
    """
    folder = posixpath.dirname(path)
    if level > 0:
        parts = folder.split("/") if folder else []
        if level - 1 > len(parts):
            return ()
        bases = ["/".join(parts[: len(parts) - (level - 1)])]
    else:
        bases = list(dict.fromkeys(("", folder)))
    relative = module.replace(".", "/")
    groups: list[tuple[str, ...]] = []
    for base in bases:
        stem = "/".join(part for part in (base, relative) if part)
        package = f"{stem}/__init__.py" if stem else "__init__.py"
        groups.append((package, f"{stem}.py") if relative else (package,))
    return tuple(groups)


def _missing(facts: SourceFacts, symbol: str) -> str:
    return f"{facts.path} has no {symbol} at module level"


def _twice(facts: SourceFacts, symbol: str, bound: Sequence[Constant]) -> str:
    whys = dict.fromkeys(one.value.why for one in bound if isinstance(one.value, Other) and one.value.why)
    lines = ", ".join(str(line) for line in dict.fromkeys(one.line for one in bound))
    detail = f" ({'; '.join(whys)})" if whys else ""
    return f"{symbol} is bound or changed more than once in {facts.path}, line {lines}{detail}"


def _rebound_by_import(facts: SourceFacts, symbol: str) -> bool:
    return any(one.top and one.alias == symbol for one in facts.imports)


def _inner(
    facts: SourceFacts,
    symbol: str,
    value: Value,
    subkey: str | None,
    outer: Key | None,
    names: Mapping[str, int | float],
) -> Number | Problem:
    if subkey is None:
        return value if isinstance(value, Number) else Problem(f"{symbol} in {facts.path} is {_described(value)}")
    if not isinstance(value, Table):
        return Problem(f"{symbol} in {facts.path} is {_described(value)}, not a dict written out")
    direct = [entry for entry in value.entries if entry.key == subkey and isinstance(entry.key, str)]
    if direct and outer is None:
        found = _one(facts, symbol, value, subkey, names)
        where = f"{symbol}[{subkey!r}]"
    else:
        row = _row(facts, symbol, value, outer, names)
        if isinstance(row, Problem):
            return row
        where = f"{symbol}[{row.key if row.key is not None else row.key_name!s}][{subkey!r}]"
        if not isinstance(row.value, Table):
            return Problem(f"{symbol} in {facts.path} holds {_described(row.value)} where a dict is needed")
        found = _one(facts, symbol, row.value, subkey, names)
    if isinstance(found, Problem):
        return found
    return found.value if isinstance(found.value, Number) else Problem(f"{where} is {_described(found.value)}")


def _row(
    facts: SourceFacts, symbol: str, table: Table, outer: Key | None, names: Mapping[str, int | float]
) -> Entry | Problem:
    """The entry of the outer dict that counts."""
    if outer is not None:
        return _one(facts, symbol, table, outer, names)
    if len(table.entries) == 1:
        only = table.entries[0]
        if only.key is not None or only.key_name is not None:
            return only
        return Problem(f"{symbol} in {facts.path} has a key that is computed")
    if not table.entries:
        return Problem(f"{symbol} in {facts.path} is empty")
    return Problem(f"{symbol} in {facts.path} has several outer keys ({_keys(table)}) and no {CONCURRENCY} says which")


def _one(
    facts: SourceFacts, symbol: str, table: Table, wanted: Key, names: Mapping[str, int | float]
) -> Entry | Problem:
    """The entry under `wanted`, provided that no other entry may have the same key."""
    matching: list[Entry] = []
    for entry in table.entries:
        key = _key_of(facts, entry, names, wanted, sole=len(table.entries) == 1)
        if key is None:
            what = f"the name {entry.key_name}, whose value is not known" if entry.key_name else "computed"
            return Problem(f"a key of {symbol} in {facts.path} is {what}")
        # 8 == 8.0 is one key of a dict, "8" is another
        if key == wanted and isinstance(key, str) == isinstance(wanted, str):
            matching.append(entry)
    if len(matching) == 1:
        return matching[0]
    if matching:
        return Problem(f"{symbol} in {facts.path} has the key {wanted!r} more than once")
    return Problem(f"{symbol} in {facts.path} has no key {wanted!r} (it has {_keys(table) or 'none'})")


def _key_of(
    facts: SourceFacts, entry: Entry, names: Mapping[str, int | float], wanted: Key, *, sole: bool
) -> Key | None:
    if entry.key is not None or entry.key_name is None:
        return entry.key
    bound = facts.named(entry.key_name)
    if len(bound) == 1 and not _rebound_by_import(facts, entry.key_name):
        value = bound[0].value
        if isinstance(value, Number):
            return value.value
        return value.text if isinstance(value, Text) else None
    if bound:
        return None
    if entry.key_name in names:
        return names[entry.key_name]
    return wanted if entry.key_name == CONCURRENCY and sole else None


def _keys(table: Table) -> str:
    shown = [
        repr(entry.key) if entry.key is not None else entry.key_name or "a computed one" for entry in table.entries
    ]
    return ", ".join(shown)


def _described(value: Value) -> str:
    """What a value is, for a person."""
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, Name):
        return f"the value of {value.name}, not a literal"
    if isinstance(value, Call):
        return f"the result of {value.function or 'a call'}, not a literal"
    if isinstance(value, Table):
        return "a dict, not a number"
    if isinstance(value, Text):
        return "a string, not a number"
    return value.why or "computed, not a literal"


def _home(facts_by_path: Mapping[str, SourceFacts], path: str, name: str) -> tuple[str, Constant] | None:
    for _ in range(_MAX_HOPS):
        facts = facts_by_path.get(path)
        if facts is None or facts.error is not None:
            return None
        bound = facts.named(name)
        imports = [one for one in facts.imports if one.top and one.alias == name]
        if len(bound) == 1 and not imports:
            return path, bound[0]
        if bound or len(imports) != 1 or not imports[0].name:
            return None
        chosen = imports[0]
        groups = import_paths(path, chosen.module, chosen.level)
        places = {at for group in groups if (at := next((one for one in group if one in facts_by_path), None))}
        places.discard(path)  # a package that imports from itself names a module that is not there
        if len(places) != 1:
            return None
        path, name = places.pop(), chosen.name
    return None
