"""From a project's configuration and the facts of its sources to the stages of a model (spec, section 2).

Everything that comes in is a value: who asks the host for the facts, and who writes the file, is elsewhere. The same
facts give the same document whatever order they come in; only `last_discovered_at` tells when that was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from gates.calibration.candidates import Candidate, Noted, claim, prefer, scan
from gates.calibration.inference import (
    Convention,
    Where,
    boolean_place,
    context_vars,
    convention,
    count_places,
    expected_samples,
    metric_place,
)
from gates.calibration.patterns import GROUPS, metric_order
from gates.calibration.rules import PresetRules, ProjectRules, Rules, VariantRules
from gates.calibration.schema import NEEDS_CONFIG, OK
from gates.calibration.source import SourceFacts
from gates.calibration.staleness import Symbol, blanked_sha256
from gates.documents import Json

DOCS = "docs"
TIME = "last_discovered_at"


class DiscoveryError(ValueError):
    """Sources or a configuration that no manifest can be made of; one line that says where."""


@dataclass(frozen=True)
class Dropped:
    """A constant that stands for a metric which another constant is taken for."""

    stage: str
    metric: str
    kept: str
    dropped: str


@dataclass(frozen=True)
class Open:
    """A value of a stage whose place nobody knows yet."""

    stage: str
    test: str
    variant: str | None
    key: str


@dataclass(frozen=True)
class Gap:
    """A metric group that some presets of a test have and others lack."""

    test: str
    variant: str | None
    group: str
    present: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Discovery:
    """What was found.

    Attributes:
        document: The data of stages.yaml, keys in the order of the file.
        unmatched: Constants that look like thresholds and are not calibrated.
        dropped: Constants that lost against another one for the same metric.
        open_ends: What NEEDS_CONFIG.
        suggestion: Data for config.yaml that would close the open ends; values in <angle brackets> are to be filled in.
        gaps: Groups that one preset has and another lacks.
        ignored: Literals that the configuration or their name leaves out.
        notes: What else looks odd, a sentence each.
    """

    document: dict[str, Json]
    unmatched: tuple[Noted, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    open_ends: tuple[Open, ...] = ()
    suggestion: dict[str, Json] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    ignored: tuple[Noted, ...] = ()
    notes: tuple[str, ...] = ()


def discover(
    project: ProjectRules,
    facts: Mapping[str, SourceFacts],
    tests: Sequence[str],
    now: str,
    data: Mapping[str, bytes] | None = None,
) -> Discovery:
    """Make a model's stages.

    Args:
        facts: Of every test, its threshold file, and of what these import from inside the repository.
        tests: Paths of the test files, in the order of their stages.
        now: UTC, such as "2026-05-22T16:52:36Z".
        data: Bytes of test and threshold files, for the hashes with thresholds blanked.

    Raises:
        DiscoveryError: A file has no facts, two stages have one key, or there is no stage at all.
    """
    work = _Work(project, facts, now)
    for test in tests:
        work.add(test)
    if not work.stages:
        raise DiscoveryError(f"no thresholds and no tests without any in {', '.join(tests) or 'no file'}")
    return work.result(data or {})


def keep_times(document: Mapping[str, Json], old: Json) -> dict[str, Json]:
    """`document` with the time of every stage that is otherwise as it was in `old`."""
    kept: dict[str, Json] = {}
    for key, stage in document.items():
        before = old.get(key) if isinstance(old, dict) else None
        if isinstance(stage, dict) and isinstance(before, dict) and isinstance(before.get(TIME), str):
            timed = {**stage, TIME: before[TIME]}
            kept[key] = timed if timed == before else stage
        else:
            kept[key] = stage
    return kept


@dataclass
class _Work:
    """What has been found so far, test by test."""

    project: ProjectRules
    facts: Mapping[str, SourceFacts]
    now: str
    stages: dict[str, dict[str, Json]] = field(default_factory=dict)
    symbols: dict[str, set[Symbol]] = field(default_factory=dict)
    unmatched: dict[tuple[str, str], Noted] = field(default_factory=dict)
    ignored: dict[tuple[str, str], Noted] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    open_ends: list[Open] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, test: str) -> None:
        rules = self.project.of(test)
        home = self._readable(
            rules.threshold_file or test, f"the threshold file of {test}" if rules.threshold_file else ""
        )
        found = self._scan(self._readable(test, ""), home, rules)
        usual = convention(self.facts[test])
        if not found:
            if rules.speaks_of_metrics:
                self.notes.append(
                    f"{home.path} holds no threshold, though config.yaml says where {test} has its metrics"
                )
            else:
                self._add_stage(test, DOCS, None, None, (), usual)
            return
        present: dict[tuple[str | None, str], list[str]] = {}
        for preset, variant in product(rules.presets or (None,), rules.variants or (None,)):
            groups: dict[str, list[Candidate]] = {}
            for candidate in found:
                if _carries(candidate.symbol, preset, variant, rules):
                    groups.setdefault(candidate.pattern.group, []).append(candidate)
            for group in _ordered(groups):
                self._add_stage(test, group, preset, variant, groups[group], usual)
                if preset is not None:
                    present.setdefault((variant.name if variant else None, group), []).append(preset.name)
        if usual.others and rules.places.json_file is None and not rules.variants:
            self.notes.append(
                f"{test} writes below several folders of tmp_path; "
                f"{usual.json_file} is taken, not {', '.join(usual.others)}"
            )
        names = [preset.name for preset in rules.presets]
        for (of, group), having in present.items():
            if len(having) < len(names):
                self.gaps.append(Gap(test, of, group, tuple(having), tuple(n for n in names if n not in having)))

    def result(self, data: Mapping[str, bytes]) -> Discovery:
        """All of it, with the hashes that needed every stage."""
        blanked = {
            path: blanked_sha256(data[path], self.facts[path], self.symbols.get(path, set()))
            for path in self._sources()
            if path in data
        }
        document: dict[str, Json] = {key: _with_blanked(stage, blanked) for key, stage in self.stages.items()}
        return Discovery(
            document=document,
            unmatched=tuple(self.unmatched.values()),
            dropped=tuple(self.dropped),
            open_ends=tuple(self.open_ends),
            suggestion=self._suggestion(),
            gaps=tuple(self.gaps),
            ignored=tuple(self.ignored.values()),
            notes=tuple(self.notes),
        )

    def _sources(self) -> set[str]:
        paths = (stage.get(key) for stage in self.stages.values() for key in ("test", "threshold_file"))
        return {path for path in paths if isinstance(path, str)}

    def _readable(self, path: str, what: str) -> SourceFacts:
        facts = self.facts.get(path)
        if facts is None:
            raise DiscoveryError(f"{path}{f' ({what})' if what else ''} is not there")
        if facts.error is not None:
            where = "" if facts.error.startswith(path) else f"{path}: "
            raise DiscoveryError(f"{where}{facts.error}{f' ({what})' if what else ''}")
        return facts

    def _scan(self, test: SourceFacts, home: SourceFacts, rules: Rules) -> list[Candidate]:
        """The thresholds that belong to some stage; everything else that a person should see is noted."""
        rows = self.project.rows
        seen = scan(home, rows, rules.ignored)
        self._note(self.unmatched, seen.unmatched)
        self._note(self.ignored, seen.ignored)
        known = {constant.name.lstrip("_") for facts in (home, test) for constant in facts.constants}
        for name in rules.ignored:
            if name.partition("[")[0].lstrip("_") not in known:
                self.notes.append(f"ignored_constants of {test.path} names {name}, which is not in {home.path}")
        if test is not home:
            here = scan(test, rows, rules.ignored)
            away = f"stands in the test, and its threshold_file is {home.path}"
            lines = {constant.name: constant.line for constant in reversed(test.constants)}
            self._note(self.unmatched, here.unmatched)
            self._note(
                self.unmatched,
                [Noted(test.path, lines[one.symbol], one.source, away) for one in here.found],
            )
        lines = {constant.name: constant.line for constant in reversed(home.constants)}
        kept: list[Candidate] = []
        for candidate in seen.found:
            why = _unclaimed(candidate.symbol, rules)
            if why is None:
                kept.append(candidate)
            else:
                self._note(self.unmatched, [Noted(home.path, lines[candidate.symbol], candidate.source, why)])
        for symbol in dict.fromkeys(one.symbol for one in kept):
            several = _variants_of(symbol, rules)
            if len(several) > 1 and any(one.constant_filter for one in rules.variants if one.name in several):
                self.notes.append(f"{symbol} is admitted by variants {', '.join(several)} alike; {several[0]} has it")
        return kept

    @staticmethod
    def _note(into: dict[tuple[str, str], Noted], notes: Iterable[Noted]) -> None:
        for note in notes:
            into.setdefault((note.path, note.source), note)

    def _add_stage(
        self,
        test: str,
        group: str,
        preset: PresetRules | None,
        variant: VariantRules | None,
        candidates: Sequence[Candidate],
        usual: Convention,
    ) -> None:
        rules = self.project.of(test)
        base = (variant.base_override if variant else None) or self.project.base_of(test)
        suffix = variant.name if variant is not None and not variant.omit_suffix else None
        parts = [part for part in (base, preset.name if preset else None, suffix) if part]
        key = "_".join([*parts, group])
        if key in self.stages:
            raise DiscoveryError(f"two stages are called {key}: of {self.stages[key]['test']} and of {test}")
        home = self.facts[rules.threshold_file or test]
        metrics: dict[str, Json] = {}
        for metric in self._chosen(key, candidates):
            place = metric_place(metric.pattern.metric_key, group, rules, variant, usual)
            if not place.known:
                self.open_ends.append(Open(key, test, variant.name if variant else None, metric.pattern.metric_key))
            metrics[metric.pattern.metric_key] = _metric(metric, place)
            self.symbols.setdefault(home.path, set()).add((metric.symbol, metric.subkey))
        counts = count_places(group, rules, variant, usual) if candidates else None
        if candidates and counts is None:
            self.open_ends.append(Open(key, test, variant.name if variant else None, "sample_counts"))
        expected = expected_samples(self.facts, test, group, rules, variant) if candidates else None
        env = {**rules.extra_env, **(preset.extra_env if preset else {}), **(variant.extra_env if variant else {})}
        context = variant.context_vars if variant else None
        stage: dict[str, Json | None] = {
            "test": test,
            "title": f"{' '.join(parts).replace('_', ' ').upper()} {group.capitalize()}",
            "group": group,
            "extra_env": dict(env),
            "context_vars": list(context if context is not None else context_vars(self.facts[test])),
            "variant": variant.name if variant else None,
            "calibration_preset": preset.name if preset else None,
            "gpus": preset.gpus if preset else None,
            "hf_model_ids": list(preset.hf_model_ids) if preset and preset.hf_model_ids is not None else None,
            "test_file_sha256": self.facts[test].sha256,
            TIME: self.now,
            "expected_samples": expected,
            "threshold_file": rules.threshold_file,
            "threshold_file_sha256": home.sha256 if rules.threshold_file else None,
            "observation_validity": self._boolean(
                "observation_validity", test, rules.observation_validity, variant, usual
            ),
            "allowed_pytest_failure": self._boolean(
                "allowed_pytest_failure", test, rules.allowed_pytest_failure, variant, usual
            ),
            "sample_counts": {"total": _locator(counts[0]), "ok": _locator(counts[1])} if counts else None,
        }
        self.stages[key] = {**{name: value for name, value in stage.items() if value is not None}, "metrics": metrics}

    def _chosen(self, stage: str, candidates: Sequence[Candidate]) -> list[Candidate]:
        """One constant for every metric, in the order of the registry."""
        by_key: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            by_key.setdefault(candidate.pattern.metric_key, []).append(candidate)
        order = metric_order(self.project.rows)
        chosen: list[Candidate] = []
        for key in sorted(by_key, key=lambda key: order[key]):
            kept = prefer(by_key[key])
            chosen.append(kept)
            self.dropped.extend(Dropped(stage, key, kept.source, one.source) for one in by_key[key] if one is not kept)
        return chosen

    def _boolean(
        self, name: str, test: str, said: str | None, variant: VariantRules | None, usual: Convention
    ) -> dict[str, Json] | None:
        if said is None:
            return None
        place = boolean_place(said, self.project.of(test), variant, usual)
        if not place.known:
            raise DiscoveryError(f"{name} of {test}: {said!r} names no file; write file::dotted.path, or set json_file")
        return _locator(place)

    def _suggestion(self) -> dict[str, Json]:
        suggested: dict[str, Json] = {}
        for one in self.open_ends:
            usual, rules = convention(self.facts[one.test]), self.project.of(one.test)
            entry = suggested.setdefault(one.test.rpartition("/")[2], {})
            assert isinstance(entry, dict)
            if one.variant is not None:
                variants = entry.setdefault("variants", {})
                assert isinstance(variants, dict)
                entry = variants.setdefault(one.variant, {})
                assert isinstance(entry, dict)
            variant = next((variant for variant in rules.variants if variant.name == one.variant), None)
            file = (variant.places.json_file if variant else None) or rules.places.json_file or usual.json_file
            if file is None:
                entry.setdefault("json_file", "<folder>0/<name>_results.json")
            if one.key == "sample_counts":
                entry["sample_counts"] = {"total": usual.counts.total, "ok": usual.counts.ok}
                continue
            paths = entry.setdefault("paths", {})
            assert isinstance(paths, dict)
            group = str(self.stages[one.stage]["group"])
            paths[one.key] = usual.path(one.key, group) or f"<dotted path of {one.key}>"
        return {"metric_sources": suggested} if suggested else {}


def _variants_of(symbol: str, rules: Rules) -> tuple[str, ...]:
    return claim(symbol, {one.name: one.constant_filter for one in rules.variants})


def _presets_of(symbol: str, rules: Rules) -> tuple[str, ...]:
    return claim(symbol, {one.name: one.constant_filter for one in rules.presets})


def _unclaimed(symbol: str, rules: Rules) -> str | None:
    if rules.variants and not _variants_of(symbol, rules):
        return "no variant's constant_filter admits it"
    return "no preset's constant_filter admits it" if rules.presets and not _presets_of(symbol, rules) else None


def _carries(symbol: str, preset: PresetRules | None, variant: VariantRules | None, rules: Rules) -> bool:
    """Whether a stage of this preset and variant has a constant; one that is filtered has a single variant."""
    if preset is not None and preset.name not in _presets_of(symbol, rules):
        return False
    if variant is None:
        return True
    owners = _variants_of(symbol, rules)
    return variant.name in (owners[:1] if variant.constant_filter is not None else owners)


def _ordered(groups: Mapping[str, object]) -> Iterator[str]:
    yield from (group for group in GROUPS if group in groups)
    yield from sorted(group for group in groups if group not in GROUPS)


def _metric(candidate: Candidate, place: Where) -> dict[str, Json]:
    row = candidate.pattern
    metric: dict[str, Json | None] = {
        "source": candidate.source,
        "json_file": place.json_file,
        "json_path": place.json_path,
        "worst": row.worst,
        "display": {"label": row.label, "scale": row.scale, "digits": row.digits},
        "status": OK if place.known else NEEDS_CONFIG,
    }
    return {key: value for key, value in metric.items() if value is not None}


def _locator(place: Where) -> dict[str, Json]:
    return {"json_file": place.json_file, "json_path": place.json_path}


def _with_blanked(stage: Mapping[str, Json], blanked: Mapping[str, str | None]) -> dict[str, Json]:
    """A stage with the second hash behind each plain one."""
    files = {"test_file_sha256": stage.get("test"), "threshold_file_sha256": stage.get("threshold_file")}
    out: dict[str, Json] = {}
    for key, value in stage.items():
        out[key] = value
        second = blanked.get(str(files[key])) if key in files else None
        if second is not None:
            out[f"{key}_blanked"] = second
    return out
