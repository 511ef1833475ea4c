"""Whether a moved HEAD still measures the same: only threshold literals may differ.

spec/calibration.md, section 4 (resume) and section 5 (apply): a changed CONCURRENCY, MAX_SAMPLES or timeout is
another measurement; a changed threshold is not, because a failed threshold is a valid observation. Two sources
are compared as syntax trees with the literals of the manifest's thresholds blanked, so comments and layout do
not matter and nothing is executed.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping

from gates.calibration.schema import Manifest

_NESTED = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)\[(?P<quote>['\"])(?P<key>[^'\"]+)(?P=quote)\]\Z")
_BLANK = ast.Constant(value=0)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def unforgiven_changes(texts: Mapping[str, tuple[bytes | None, bytes | None]], manifest: Manifest) -> list[str]:
    """Why the changes between two commits are more than threshold literals; empty when they are not.

    Args:
        texts: Content before and after by path, None where the file is not in that commit.
        manifest: Names the test and threshold files, and the thresholds in them.
    """
    files = {path for stage in manifest.stages for path in (stage.test, stage.threshold_file) if path}
    reasons: list[str] = []
    for path, (before, after) in texts.items():
        if path not in files:
            reasons.append(f"{path} is not a test file of this run")
        elif before is None or after is None:
            reasons.append(f"{path} was {'added' if before is None else 'removed'}")
        elif not equal_but_for_thresholds(before, after, *threshold_names(manifest, path)):
            reasons.append(f"{path} differs in more than thresholds")
    return reasons


def threshold_names(manifest: Manifest, path: str) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """The constants of one file that are thresholds: plain names, and (name, inner key) of nested ones."""
    names: set[str] = set()
    keys: set[tuple[str, str]] = set()
    for stage in manifest.stages:
        for metric in stage.metrics if path in (stage.test, stage.threshold_file) else ():
            nested = _NESTED.match(metric.source)
            if nested:
                keys.add((nested["name"], nested["key"]))
            elif _PLAIN.match(metric.source):
                names.add(metric.source)
    return frozenset(names), frozenset(keys)


def equal_but_for_thresholds(
    before: bytes, after: bytes, names: frozenset[str], keys: frozenset[tuple[str, str]]
) -> bool:
    """True when both parse and mean the same once the named literals are blanked."""
    try:
        return _blanked(before, names, keys) == _blanked(after, names, keys)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return before == after


def _blanked(source: bytes, names: frozenset[str], keys: frozenset[tuple[str, str]]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a project's escape sequences are its own affair
        tree = ast.parse(source)
    for node in tree.body:
        target = _target(node)
        if target is None or not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        if target in names and _is_number(node.value):
            node.value = _BLANK
        inner = {key for name, key in keys if name == target}
        for dictionary in list(ast.walk(node.value)) if inner else ():
            if isinstance(dictionary, ast.Dict):
                dictionary.values = [
                    _BLANK if isinstance(key, ast.Constant) and key.value in inner and _is_number(item) else item
                    for key, item in zip(dictionary.keys, dictionary.values, strict=True)
                ]
    return ast.dump(tree)


def _target(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


def _is_number(node: ast.expr) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)) else node
    return isinstance(inner, ast.Constant) and type(inner.value) in (int, float)
