"""At most once per key, across lost connections and killed helpers (SAFETY C3).

A key's folder entry `<key>.call` is made before anything runs, exclusively, and names the process that runs it;
`<key>.result` is written when that has ended, well or badly. Whoever calls again with the key gets the recorded
result, or is told that there is none yet. Nothing is ever run a second time.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from hosts.errors import GatewatchError, InputError, NotYetError, RefusedError, VerbError
from hosts.host import Json, ProcRef
from hosts.local import procs, strictjson
from hosts.local.files import WriteError, read_bytes_limited, utc_now, write_atomic, write_new
from hosts.local.observe import NotThereError

_KEY = re.compile(r"[A-Za-z0-9_-]{8,128}\Z")
_LIMIT = 64 << 20


def at_most_once(directory: Path, key: str, run: Callable[[], Json]) -> Json:
    """Run `run` unless this key was used before; then give the first answer again.

    Args:
        directory: Where the keys are kept; it exists.
        key: 8 to 128 letters, digits, "-" and "_", drawn by whoever asks, once per intention.
        run: What to do; what it raises is recorded too.

    Raises:
        InputError: The key has another form.
        VerbError: What the first run ended with; "not-yet" where it has not ended, or never will.
        WriteError: The key could not be kept, so nothing was run.
    """
    if not _KEY.match(key):
        raise InputError("an idempotency key is 8 to 128 letters, digits, '-' and '_'")
    claim, result = directory / f"{key}.call", directory / f"{key}.result"
    note: Json = {"maker": procs.proc_ref_json(procs.self_ref()), "at": utc_now()}
    if not write_new(claim, strictjson.dumps(note, indent=2), 0o600):
        return _recorded(claim, result, key)
    answer = outcome(run)
    # A result that cannot be kept (a full disk) is still the truth: it is given now, and "not-yet" to who asks again
    with contextlib.suppress(WriteError):
        write_atomic(result, strictjson.dumps(answer), 0o600)
    return unwrap(answer)


def calls_directory(payload: Json, environment: Mapping[str, str], *, needs_run: bool = False) -> Path:
    """The folder, made if need be, in which the keys of calls like this one are kept.

    It lies in the run directory that the payload names, because a run directory may outlive the machine it was
    made on; otherwise in the user's state directory.

    Raises:
        InputError: `needs_run`, and there is no such run directory; or the folder cannot be made.
    """
    run_dir = payload.get("run_dir") if isinstance(payload, dict) else None
    if isinstance(run_dir, str) and run_dir:
        base = Path(os.path.expanduser(run_dir))
        if needs_run and not base.is_dir():
            raise InputError(f"there is no run directory {run_dir}")
        path = base / ".gatewatch" / "calls"
    else:
        state = environment.get("XDG_STATE_HOME", "")
        path = Path(state if os.path.isabs(state) else os.path.expanduser("~/.local/state")) / "gatewatch" / "calls"
    try:
        # A run directory is for others to look at, as far as the umask lets them; who called what is not.
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(f"cannot make {path}: {error.strerror or error}") from None
    return path


def outcome(run: Callable[[], Json]) -> dict[str, Json]:
    """Run something, and put what came of it in the form that is sent and recorded: {"ok": …} or {"error": …}."""
    try:
        return {"ok": run()}
    except Exception as error:  # noqa: BLE001 - the caller is elsewhere; it is told kind and message
        return {"error": {"kind": _kind(error), "message": _line(error)}}


def unwrap(answer: Json) -> Json:
    """The value out of what `outcome` gave.

    Raises:
        VerbError: It was an error.
    """
    if isinstance(answer, dict) and "ok" in answer:
        return answer["ok"]
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        raise VerbError("internal", "an answer that is neither a value nor an error")
    raise VerbError(str(error.get("kind", "internal")), str(error.get("message", "")))


def _recorded(claim: Path, result: Path, key: str) -> Json:
    maker = _maker(claim)
    alive = procs.is_alive(maker) if maker is not None else None
    # Looked for after its maker was judged: a maker that ended in between has left it by now
    if not result.exists():
        if alive:
            raise VerbError("not-yet", f"call {key} is still running as process {maker.pid if maker else '?'}")
        if alive is None:
            raise VerbError("not-yet", f"call {key} has no result, and whether it still runs cannot be seen from here")
        raise VerbError("not-yet", f"call {key} never finished: the process that ran it is gone")
    return unwrap(strictjson.loads(read_bytes_limited(result, _LIMIT), result.name))


def _maker(claim: Path) -> ProcRef | None:
    try:
        note = strictjson.loads(read_bytes_limited(claim, 1 << 16), claim.name)
        return procs.proc_ref_from_json(note["maker"]) if isinstance(note, dict) and "maker" in note else None
    except GatewatchError:  # it is there and unreadable: that it was used is all that is known
        return None


def _kind(error: Exception) -> str:
    if isinstance(error, VerbError):
        return error.kind
    for kind, types in (("missing", NotThereError), ("input", InputError), ("refused", RefusedError)):
        if isinstance(error, types):
            return kind
    return "not-yet" if isinstance(error, NotYetError) else "internal"


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, GatewatchError) else f"{type(error).__name__}: {text}"
