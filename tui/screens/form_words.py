"""What a person is told before a run is started: exactly what, where, and what looked wrong."""

from __future__ import annotations

from textual.content import Content

from jobs.calibration.starting import Ready
from tui import words
from tui.sanitise import clean_inline, redact
from tui.screens.form_state import Judged
from tui.screens.resume_ask import Fact, Line
from tui.screens.stage_numbers import lasted

_MOST = 12


def facts(*pairs: tuple[str, str]) -> list[Line]:
    """Names and values; what has no value is left out."""
    return [Fact(name, value) for name, value in pairs if value]


def where_of(ready: Ready) -> str:
    """The host that it would start on."""
    site = ready.request.site
    if site.profile is None:
        return "this machine"
    return f"this machine (profile {site.profile.name})" if site.local else site.profile.name


def question_lines(ready: Ready, judged: Judged) -> list[Line]:
    """A new run."""
    request, expects = ready.request, judged.expects
    stages = f"{words.counted(len(request.stages), 'stage')} ({request.asked})"
    runs = f"{words.counted(request.repeats, 'repeat')}"
    if expects is not None:
        runs += f", {words.counted(expects.tests * request.repeats, 'pytest run')}"
        runs += f", about {lasted(expects.seconds)}" if expects.seconds is not None else ""
    return [
        *facts(
            ("model", request.model),
            ("stages", stages),
            ("repeats", runs),
            ("host", where_of(ready)),
            ("repo", f"{request.site.repo} at commit {ready.checked.git_sha[:12]}"),
            ("python", request.venv.path),
            ("run-dir", request.run_dir),
        ),
        *warning_lines(ready),
        Content.styled("It runs on its own: leaving gatewatch does not end it.", "$text-muted"),
    ]


def warning_lines(ready: Ready) -> list[Content]:
    """What stops nothing and should be known."""
    found = [Content.styled(f"! {clean_inline(redact(text))}", "$text-warning") for text in ready.warnings]
    more = len(found) - _MOST
    return [*found[:_MOST], Content.styled(f"! and {more} more", "$text-warning")] if more > 0 else found


def fault_lines(ready: Ready) -> list[Content]:
    """Why it cannot start."""
    lines = [Content.styled("it cannot start like this:", "bold $text-error")]
    for item in ready.faults:
        mend = f"; mend: {item.mend}" if item.mend else ""
        lines.append(
            Content.styled(clean_inline(redact(f"{item.mark} {item.name}: {item.detail}{mend}")), "$text-error")
        )
    return lines
