"""Where a test's values are, and how many samples it runs: what its source tells where nobody configured it.

The conventions are those of spec/calibration.md, section 2. What the source does not say for certain is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gates.calibration.rules import CountPaths, Places, Rules, VariantRules
from gates.calibration.source import Name, Number, Other, Ref, SourceFacts, lookup, number_of

TMP_PATH = "tmp_path"
_NAME_LENGTH = 30  # pytest names the folder of tmp_path after so much of the function's name, and counts from 0
_AUDIO = "_audio"
_MMSU = "benchmarks.eval.benchmark_omni_mmsu"
_PATHS: Mapping[str, str] = {
    "accuracy": "summary.accuracy",
    "corpus_wer": "wer.summary.wer_corpus",
    "per_sample_wer_max": "wer.summary.wer_per_sample_max",
    "wer_below_50_corpus": "wer.summary.wer_below_50_corpus",
    "n_above_50": "wer.summary.n_above_50_pct_wer",
}
_COUNTS = CountPaths("summary.total_samples", "speed.completed_requests")
_MMSU_COUNTS = CountPaths("summary.total_samples", "summary.successful_samples")
_FULL_SET, _STREAMED, _SIMILARITY = (
    "SEEDTTS_EN_FULLSET_SAMPLES",
    "STREAMING_BENCHMARK_MAX_SAMPLES",
    "TTS_SIMILARITY_MAX_SAMPLES",
)
_ASR = "SEEDTTS_ASR_CORRECTNESS_SAMPLES"
_NAMED_SCOPES = frozenset({_FULL_SET, _STREAMED, _SIMILARITY, _ASR})
_SPOKEN = frozenset({"wer", "speed", "utmos"})
_CONTEXT = ("max_samples", "max_tokens", "max_new_tokens", "max_concurrency")


@dataclass(frozen=True)
class Where:
    """One value's place; None for what nobody said."""

    json_file: str | None
    json_path: str | None

    @property
    def known(self) -> bool:
        return self.json_file is not None and self.json_path is not None


@dataclass(frozen=True)
class Convention:
    """What a test's own source says about its results.

    Attributes:
        json_file: The result file of a test that writes below `tmp_path`, else None.
        others: More such files of the same test, which nothing tells apart from the first.
        mmsu: The results are laid out as the MMSU benchmark's are.
    """

    json_file: str | None
    others: tuple[str, ...]
    mmsu: bool

    def path(self, key: str, group: str) -> str | None:
        """The usual dotted path of a metric."""
        if key == "accuracy" and self.mmsu:
            return "summary.overall_accuracy"
        if group == "speed":
            return f"{'speed_metrics' if self.mmsu else 'speed'}.{key}"
        return _PATHS.get(key)

    @property
    def counts(self) -> CountPaths:
        """The usual dotted paths of the counts."""
        return _MMSU_COUNTS if self.mmsu else _COUNTS


def convention(facts: SourceFacts) -> Convention:
    """Read a test file's conventions off its source."""
    files = [
        f"{function.name[:_NAME_LENGTH]}0/{sub}/{sub.removesuffix(_AUDIO)}_results.json"
        for function in facts.functions
        if TMP_PATH in function.params
        for sub in function.tmp_subs
        if _is_folder(sub)
    ]
    mmsu = any(
        _MMSU in (one.module, f"{one.module}.{one.name}" if one.name else one.module) and one.level == 0
        for one in facts.imports
    )
    distinct = list(dict.fromkeys(files))
    return Convention(distinct[0] if distinct else None, tuple(distinct[1:]), mmsu)


def _is_folder(sub: str) -> bool:
    # `tmp_path / "server.log"` is a file of its own, and nothing here climbs out of the folder.
    return bool(sub) and "." not in sub and "\\" not in sub and not sub.startswith("/")


def metric_place(key: str, group: str, rules: Rules, variant: VariantRules | None, usual: Convention) -> Where:
    """Where one metric's value is: the variant's word, then the test's, then the convention, key by key."""
    layers = _layers(rules, variant)
    said = next((places.paths[key] for places in layers if key in places.paths), None)
    if said is None and usual.json_file is not None:
        said = usual.path(key, group)
    return _where(said, _file(layers, usual))


def count_places(
    group: str, rules: Rules, variant: VariantRules | None, usual: Convention
) -> tuple[Where, Where] | None:
    """Where the total and the ok count of one group are, None when nobody said."""
    layers = _layers(rules, variant)
    said = next((counts for places in layers if (counts := places.counts_for(group)) is not None), None)
    if said is None and usual.json_file is not None:
        said = usual.counts
    if said is None:
        return None
    file = _file(layers, usual)
    total, ok = _where(said.total, file), _where(said.ok, file)
    return (total, ok) if total.known and ok.known else None


def boolean_place(said: str, rules: Rules, variant: VariantRules | None, usual: Convention) -> Where:
    """Where a configured JSON boolean is."""
    return _where(said, _file(_layers(rules, variant), usual))


def _layers(rules: Rules, variant: VariantRules | None) -> tuple[Places, ...]:
    return (rules.places,) if variant is None else (variant.places, rules.places)


def _file(layers: tuple[Places, ...], usual: Convention) -> str | None:
    return next((places.json_file for places in layers if places.json_file is not None), usual.json_file)


def _where(said: str | None, default: str | None) -> Where:
    file, mark, path = said.rpartition("::") if said is not None else ("", "", None)
    return Where(file if mark else default, path)


def context_vars(facts: SourceFacts) -> tuple[str, ...]:
    """The constants that set what a test runs: passed as max_samples, max_tokens and the like, in that order."""
    names = (ref.name for key in _CONTEXT for ref in facts.keywords.get(key, ()) if isinstance(ref, Name))
    return tuple(dict.fromkeys(name for name in names if name.isupper()))


def expected_samples(
    facts: Mapping[str, SourceFacts],
    test: str,
    group: str,
    rules: Rules,
    variant: VariantRules | None,
) -> int | None:
    """How many samples a whole repeat has: what is configured, else the literal behind `max_samples`, else none.

    Tests of speech name their scope by constants of their own, which differ by group. Concurrency and token limits
    never say how many samples there are, and a name that cannot be resolved within the repository says nothing.
    """
    for places in _layers(rules, variant):
        said = places.expected_for(group)
        if said is not None:
            return said
    paths = tuple(path for path in (test, rules.threshold_file) if path)
    # `max_samples=max_samples` hands on what a caller said.
    refs = [ref for ref in facts[test].keywords.get("max_samples", ()) if ref != Name("max_samples")]
    named = [ref for ref in refs if isinstance(ref, Name) and ref.name in _NAMED_SCOPES]
    own = [ref for ref in refs if ref not in named]
    if own and not named:
        return _one_of(facts, paths, own)
    scope = _scope_of(facts, paths, test, group, variant)
    if scope is not None and (Name(scope) in named or _defined(facts, paths, scope)):
        return _count(facts, paths, scope)
    # A named scope belongs to its own kind of stage, what else is passed to all others.
    return _one_of(facts, paths, own or named)


def _one_of(facts: Mapping[str, SourceFacts], paths: tuple[str, ...], refs: Sequence[Ref]) -> int | None:
    """The one count that all these mean, None when they differ or one of them is not known."""
    values = {
        (ref.value if ref.is_int and ref.value >= 1 else None)
        if isinstance(ref, Number)
        else _count(facts, paths, ref.name)
        for ref in refs
    }
    only = values.pop() if len(values) == 1 else None
    return int(only) if only is not None else None


def _scope_of(
    facts: Mapping[str, SourceFacts], paths: tuple[str, ...], test: str, group: str, variant: VariantRules | None
) -> str | None:
    """The constant that names the scope of a speech test's group, None where none does."""
    words = test.rpartition("/")[2].removesuffix(".py").split("_")
    if "asr" in words and _defined(facts, paths, _ASR):
        return _ASR
    if group == "similarity":
        return _SIMILARITY
    if _streams(variant.name if variant is not None else "_".join(words)):
        full = _is_none(facts, paths, _STREAMED)
        return _FULL_SET if full else _STREAMED
    return _FULL_SET if group in _SPOKEN else None


def _streams(name: str) -> bool:
    plain = name.lower().replace("-", "").replace("_", "")
    return "stream" in plain and "nonstream" not in plain


def _count(facts: Mapping[str, SourceFacts], paths: tuple[str, ...], name: str) -> int | None:
    if "CONCURRENCY" in name or "TOKEN" in name:
        return None
    for path in paths:
        number = number_of(facts, path, name)
        if number is not None:
            return int(number.value) if number.is_int and number.value >= 1 else None
    return None


def _defined(facts: Mapping[str, SourceFacts], paths: tuple[str, ...], name: str) -> bool:
    return any(lookup(facts, path, name) is not None for path in paths)


def _is_none(facts: Mapping[str, SourceFacts], paths: tuple[str, ...], name: str) -> bool:
    for path in paths:
        found = lookup(facts, path, name)
        if found is not None:
            return isinstance(found.value, Other) and found.value.why == "None"
    return False
