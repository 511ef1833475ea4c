"""What a source file says, found by the Python that its project runs on.

This text is handed to that interpreter with `-c`, so it needs the standard library alone, parses on Python 3.8, and
imports nothing of ours. It opens no file: the sources come with the request on its standard input, one JSON
document, and the answer is one JSON document on its standard output. Nothing of what it reads is executed.

    {"facts":  [{"path", "data"}],
     "checks": [{"path", "old", "new", "edits": [{"old": [start, end], "new": [start, end], "value"}]}]}
    {"python", "facts": {path: …}, "checks": {path: null | why}}

Bytes travel as base64. The shape of the facts is that of `gates.calibration.facts`.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import re
import sys
import tokenize
from typing import Any

OLDEST = (3, 8)
KEYWORDS = ("max_samples", "max_tokens", "max_new_tokens", "max_concurrency", "concurrency")
MUTATORS = frozenset(("update", "setdefault", "pop", "popitem", "clear", "__setitem__", "__delitem__", "__ior__"))
LITERAL = re.compile(r"[-+ \t()]*[0-9.][0-9a-zA-Z_.]*(?:(?<=[eE])[-+]?[0-9_]+)?[ \t)]*\Z")
LINE = re.compile("[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
BOM = b"\xef\xbb\xbf"
DEEPEST = 20
LARGEST = 10**300
BROKEN = (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, OverflowError)


class Source:
    """One file's bytes, its tree, and where in the bytes a node stands."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tree = ast.parse(data)
        self.unlocated: str | None = None
        self.encoding = "utf-8"
        self.lines: list[str] = []
        self.starts: list[int] = []
        try:
            self._decode()
        except BROKEN as error:
            self.unlocated = f"its encoding cannot be followed ({one_line(error)})"

    def _decode(self) -> None:
        # Line ends first: a cookie counts on the first two lines, and a lone CR ends one for Python
        plain = re.sub(b"\r\n?", b"\n", self.data)
        encoding = tokenize.detect_encoding(io.BytesIO(plain).readline)[0]
        self.encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        at = len(BOM) if self.data.startswith(BOM) else 0
        text = self.data[at:].decode(self.encoding)
        for line in LINE.findall(text):
            self.lines.append(line)
            self.starts.append(at)
            coded = line.encode(self.encoding)
            if self.data[at : at + len(coded)] != coded:
                raise ValueError(f"its lines cannot be told apart in {self.encoding}")
            at += len(coded)
        if at != len(self.data):
            raise ValueError(f"{self.encoding} does not give its bytes back")
        if not (self.data.isascii() and self.encoding == "utf-8"):
            if ast.dump(ast.parse(text)) != ast.dump(self.tree):
                raise ValueError(f"Python reads it in another encoding than {self.encoding}")
            self.tree = ast.parse(text)

    def span(self, node: ast.expr) -> tuple[int, int] | None:
        """Byte offsets of a node, or None where they are not certain."""
        if self.unlocated is not None:
            return None
        try:
            start = self._offset(node.lineno, node.col_offset)
            end = self._offset(node.end_lineno or 0, node.end_col_offset or 0)
        except (IndexError, UnicodeError):
            return None
        return (start, end) if start < end else None

    def _offset(self, line: int, column: int) -> int:
        prefix = self.lines[line - 1].encode("utf-8")[:column].decode("utf-8")
        return self.starts[line - 1] + len(prefix.encode(self.encoding))


def one_line(error: BaseException) -> str:
    """What went wrong, and on which line."""
    if isinstance(error, SyntaxError):
        where = f", line {error.lineno}" if error.lineno else ""
        text = f"syntax error{where}: {error.msg}"
    elif isinstance(error, (RecursionError, MemoryError)):
        text = "nested too deeply"
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())


def number_in(node: ast.AST) -> int | float | None:
    """The value of a numeric literal with its signs; None for anything else."""
    negative = False
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        negative ^= isinstance(node.op, ast.USub)
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -LARGEST < value < LARGEST:
        return None
    return -value if negative else value


def located(source: Source, node: ast.expr, value: int | float) -> tuple[str, int, int]:
    """(text, start, end) of a numeric literal; the place is -1 where it is not certain."""
    span = source.span(node)
    if span is not None:
        try:
            text = source.data[span[0] : span[1]].decode("ascii")
            again = number_in(ast.parse(f"({text})", mode="eval").body) if LITERAL.match(text) else None
        except BROKEN:
            again = None
        if again is not None and type(again) is type(value) and repr(again) == repr(value):
            return text, span[0], span[1]
    return repr(value), -1, -1


def names_in(*nodes: ast.AST) -> list[str]:
    """Every name and attribute used, in the order of the text."""
    found: list[tuple[tuple[int, int], str]] = []
    for node in nodes:
        for one in ast.walk(node):
            if isinstance(one, ast.Name):
                found.append(((one.lineno, one.col_offset), one.id))
            elif isinstance(one, ast.Attribute):
                found.append(((one.end_lineno or 0, one.end_col_offset or 0), one.attr))
    return list(dict.fromkeys(name for _, name in sorted(found)))


def dotted(node: ast.AST) -> str:
    """`a.b.c`, or "" for what is no name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return ""


def other(node: ast.AST, why: str) -> dict[str, Any]:
    """A value that is none of the known kinds."""
    return {"kind": "other", "names": names_in(node), "why": why}


def number_value(source: Source, node: ast.expr, value: int | float) -> dict[str, Any]:
    """A numeric literal as JSON."""
    text, start, end = located(source, node, value)
    whole = type(value) is int
    return {"kind": "number", "text": text, "start": start, "end": end, "value": value, "is_int": whole}


def value_of(source: Source, node: ast.expr, depth: int = 0) -> dict[str, Any]:
    """The value of an assignment as JSON."""
    value = number_in(node)
    if value is not None:
        return number_value(source, node, value)
    if isinstance(node, ast.Name):
        return {"kind": "name", "name": node.id}
    if isinstance(node, ast.Call):
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        return {"kind": "call", "function": dotted(node.func), "names": names_in(*parts)}
    if isinstance(node, ast.Dict):
        if depth > DEEPEST:
            return other(node, "nested too deeply")
        pairs = enumerate(node.keys)
        return {"kind": "table", "entries": [entry_of(source, key, node.values[at], depth) for at, key in pairs]}
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return {"kind": "text", "text": node.value}
        if node.value is None or isinstance(node.value, bool):
            return other(node, repr(node.value))
        return other(node, f"of type {type(node.value).__name__}")
    return other(node, "")


def entry_of(source: Source, key: ast.expr | None, item: ast.expr, depth: int) -> dict[str, Any]:
    """One entry of a dict display as JSON; `**other` has neither key nor name."""
    value = value_of(source, item, depth + 1) if key is not None else other(item, "** of another dict")
    known: int | float | str | None = number_in(key) if key is not None else None
    if known is None and isinstance(key, ast.Constant) and isinstance(key.value, str):
        known = key.value
    return {"key": known, "key_name": key.id if isinstance(key, ast.Name) else None, "value": value}


class Bindings:
    """Every place where the module's own names are bound or changed."""

    def __init__(self, source: Source) -> None:
        self.source = source
        # (place, name, annotated, value). An assignment makes a constant; a touch can only spoil one: def, for,
        # import *, X[…] = …, global
        self.assigned: list[tuple[tuple[int, int], str, bool, dict[str, Any]]] = []
        self.touched: list[tuple[tuple[int, int], str, bool, dict[str, Any]]] = []
        self.top_imports: set[ast.AST] = set()
        for node in source.tree.body:
            if not self._constant(node):
                self._statement(node, "")
        for one in ast.walk(source.tree):
            self._change(one)

    def constants(self) -> list[dict[str, Any]]:
        """As JSON, in the order of the file."""
        names = {name for _, name, _, _ in self.assigned}
        found = self.assigned + [one for one in self.touched if one[1] in names]
        for at, name, _, _ in [one for one in self.touched if one[1] == "*"]:
            before = dict.fromkeys(one[1] for one in self.assigned if one[0] < at)
            found += [(at, name, False, spoilt("an import of * follows it")) for name in before]
        found.sort(key=lambda one: (one[0], one[1]))
        keys = ("line", "name", "annotated", "value")
        return [dict(zip(keys, (at[0], *rest))) for at, *rest in found]  # noqa: B905 - Python 3.8 knows no strict

    def _constant(self, node: ast.stmt) -> bool:
        """A plain `X = …` or `X: T = …` of the module itself."""
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            target, value = node.target, node.value
            self._expression(node.annotation)
        else:
            return False
        found = value_of(self.source, value)
        self.assigned.append(((node.lineno, node.col_offset), target.id, isinstance(node, ast.AnnAssign), found))
        self._expression(value)
        return True

    def _statement(self, node: ast.stmt, under: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self._touch(node, node.name, "a function or class of that name")
            heads = [*node.bases, *node.keywords] if isinstance(node, ast.ClassDef) else [node.args]
            for one in (*node.decorator_list, *heads):
                self._expression(one)
            return
        if type(node).__name__ == "TypeAlias":  # Python 3.12
            self._touch(node, dotted(getattr(node, "name")), "a type of that name")  # noqa: B009 - mypy knows none
            return
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.top_imports.add(node)
            if any(alias.name == "*" for alias in node.names):
                self._touch(node, "*", "")
            return
        self._targets(node, under)
        inside = under or f'under "{type(node).__name__.lower()}"'
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, inside)
            elif isinstance(child, ast.expr):
                self._expression(child)
            else:  # an except clause, a case, an item of with
                self._part(child, inside)

    def _part(self, node: ast.AST, under: str) -> None:
        for name in (getattr(node, "name", None), getattr(node, "rest", None)):
            if isinstance(name, str):
                self._touch(node, name, f"bound {under}")
        if isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._bind(node.optional_vars, f"bound {under}", False)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, under)
            elif isinstance(child, ast.expr):
                self._expression(child)
            else:
                self._part(child, under)

    def _targets(self, node: ast.stmt, under: str) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                plain = isinstance(target, ast.Name)
                many = "assigned together with others" if len(node.targets) > 1 else ""
                self._bind(target, (f"assigned {under}" if under else many) if plain else "unpacked", True)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self._bind(node.target, f"assigned {under}", True)
        elif isinstance(node, ast.AugAssign):
            self._bind(node.target, "changed in place", True)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                self._bind(target, "deleted", False)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._bind(node.target, "bound by a loop", False)

    def _bind(self, target: ast.expr, why: str, assigned: bool) -> None:
        for one in ast.walk(target):
            if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load):
                if assigned:
                    self.assigned.append(((one.lineno, one.col_offset), one.id, False, spoilt(why)))
                else:
                    self._touch(one, one.id, why)

    def _expression(self, node: ast.AST) -> None:
        """An expression of the module binds names by := alone, also inside a comprehension."""
        waiting: list[ast.AST] = [node]
        while waiting:
            one = waiting.pop()
            if isinstance(one, ast.NamedExpr):
                self._bind(one.target, "assigned by :=", True)
            if not isinstance(one, ast.Lambda):
                waiting.extend(ast.iter_child_nodes(one))

    def _change(self, node: ast.AST) -> None:
        """What changes a module's name, or the dict behind it, from anywhere in the file."""
        if isinstance(node, ast.Global):
            for name in node.names:
                self._touch(node, name, f"declared global, line {node.lineno}")
        elif isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
            self._touch_root(node, node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
            self._touch_root(node, node.func.value)

    def _touch_root(self, node: ast.expr, inner: ast.expr) -> None:
        while isinstance(inner, (ast.Subscript, ast.Attribute)):
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._touch(node, inner.id, f"changed in place, line {node.lineno}")

    def _touch(self, node: ast.AST, name: str, why: str) -> None:
        at = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        self.touched.append((at, name, False, spoilt(why)))


def spoilt(why: str) -> dict[str, Any]:
    """The value of a name that is bound in a way that no literal explains."""
    return {"kind": "other", "names": [], "why": why}


def imports_of(tree: ast.AST, top: set[ast.AST]) -> list[dict[str, Any]]:
    """All imports of a file as JSON."""
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    answer: list[dict[str, Any]] = []
    for node in sorted(found, key=lambda one: (one.lineno, one.col_offset)):
        plain = isinstance(node, ast.Import)
        for alias in node.names:
            bound = alias.asname or (alias.name.split(".")[0] if plain else alias.name)
            body = {"module": alias.name, "name": "", "alias": bound, "level": 0, "top": node in top}
            if isinstance(node, ast.ImportFrom):
                body.update(module=node.module or "", name=alias.name, level=node.level)
            answer.append(body)
    return answer


def functions_of(tree: ast.AST) -> list[dict[str, Any]]:
    """The test functions of a file as JSON."""
    found: list[tuple[tuple[int, int], dict[str, Any]]] = []
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not node.name.startswith("test"):
            continue
        arguments = node.args
        params = [one.arg for one in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
        subs = [
            (one.lineno, one.col_offset, one.right.value)
            for one in ast.walk(node)
            if isinstance(one, ast.BinOp)
            and isinstance(one.op, ast.Div)
            and isinstance(one.left, ast.Name)
            and one.left.id == "tmp_path"
            and isinstance(one.right, ast.Constant)
            and isinstance(one.right.value, str)
        ]
        names = list(dict.fromkeys(sub for _, _, sub in sorted(subs)))
        found.append(((node.lineno, node.col_offset), {"name": node.name, "params": params, "tmp_subs": names}))
    found.sort(key=lambda one: one[0])
    return [body for _, body in found]


def keywords_of(source: Source) -> dict[str, Any]:
    """What calls pass as one of KEYWORDS, as JSON."""
    found: dict[str, list[tuple[tuple[int, int], dict[str, Any]]]] = {}
    for node in ast.walk(source.tree):
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            value = number_in(keyword.value)
            at = (keyword.value.lineno, keyword.value.col_offset)
            if keyword.arg in KEYWORDS and value is not None:
                found.setdefault(keyword.arg, []).append((at, number_value(source, keyword.value, value)))
            elif keyword.arg in KEYWORDS and isinstance(keyword.value, ast.Name):
                found.setdefault(keyword.arg, []).append((at, {"kind": "name", "name": keyword.value.id}))
    return {name: [ref for _, ref in sorted(refs, key=lambda one: one[0])] for name, refs in sorted(found.items())}


def facts(path: str, data: bytes) -> dict[str, Any]:
    """The facts of one file as JSON."""
    body: dict[str, Any] = {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "error": None}
    try:
        source = Source(data)
        bindings = Bindings(source)
        body["constants"] = bindings.constants()
        body["imports"] = imports_of(source.tree, bindings.top_imports)
        body["functions"] = functions_of(source.tree)
        body["keywords"] = keywords_of(source)
        body["unlocated"] = source.unlocated
    except BROKEN as error:
        return {"path": path, "sha256": body["sha256"], "error": one_line(error)}
    return body


class Blank(ast.NodeTransformer):
    """Puts 0 for the numbers at the given places, and notes what stood there."""

    def __init__(self, source: Source, spans: list[tuple[int, int]]) -> None:
        self.source = source
        self.spans = frozenset(spans)
        self.met: list[tuple[tuple[int, int], int | float]] = []

    def visit(self, node: ast.AST) -> Any:
        """Blank `node` or go on below it."""
        if isinstance(node, (ast.UnaryOp, ast.Constant)):
            value = number_in(node)
            if value is not None:
                _, start, end = located(self.source, node, value)
                if (start, end) in self.spans:
                    self.met.append(((start, end), value))
                    return ast.copy_location(ast.Constant(value=0, kind=None), node)
        return self.generic_visit(node)


def check(path: str, old: bytes, new: bytes, edits: list[dict[str, Any]]) -> str | None:
    """Why `new` differs from `old` in anything but the planned literals; None when it does not."""
    trees: list[str] = []
    for data, key in ((old, "old"), (new, "new")):
        spans: list[tuple[int, int]] = [(edit[key][0], edit[key][1]) for edit in edits]
        try:
            source = Source(data)
            if key == "new":
                compile(data, path, "exec", dont_inherit=True)
            if source.unlocated is not None:
                return source.unlocated
            blank = Blank(source, spans)
            trees.append(ast.dump(blank.visit(source.tree)))
        except BROKEN as error:
            return f"{'as it would be written' if key == 'new' else 'as it is'}: {one_line(error)}"
        if sorted(span for span, _ in blank.met) != sorted(spans):
            return "a planned place holds no number of its own"
        if key == "new":
            found = dict(blank.met)
            for edit in edits:
                value = found[(edit["new"][0], edit["new"][1])]
                if type(value) is not type(edit["value"]) or value != edit["value"]:
                    return f"{value!r} would be written where {edit['value']!r} is planned"
    return None if trees[0] == trees[1] else "it would differ in more than the planned literals"


def main() -> None:
    """Answer the request on standard input."""
    if sys.version_info < OLDEST:
        sys.exit(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed")
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    found = {one["path"]: facts(one["path"], base64.b64decode(one["data"])) for one in request.get("facts", ())}
    checks = {
        one["path"]: check(one["path"], base64.b64decode(one["old"]), base64.b64decode(one["new"]), one["edits"])
        for one in request.get("checks", ())
    }
    answer = {"python": ".".join(str(part) for part in sys.version_info[:3]), "facts": found, "checks": checks}
    sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
