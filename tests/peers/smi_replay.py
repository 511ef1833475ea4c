"""Stands for nvidia-smi: answers out of a recorded output (tests/data/nvidia_smi/README.md has the files' form).

Run as `python smi_replay.py RECORDING [ARGUMENT OF nvidia-smi]...`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ALIASES = {"gpu_name": "name", "gpu_uuid": "gpu_uuid", "used_memory": "used_gpu_memory"}
_UNIT = re.compile(r"(-?[\d.]+) (?:MiB|W|%|MHz)")


class Recording:
    """One file: sections by question, what is below every answer, the exit status, and the fields it does not know."""

    def __init__(self, text: str) -> None:
        self.sections: dict[str, list[str]] = {}
        self.code = 0
        self.lacks: set[str] = set()
        self.says = ""
        lines: list[str] = []
        for line in text.splitlines():
            if line.startswith("$ "):
                lines = self.sections.setdefault(line[2:], [])
            elif line.startswith("exit "):
                self.code = int(line[5:])
            elif line.startswith("lacks "):
                self.lacks.add(line[6:])
            elif line.startswith("says "):
                self.says += f"{line[5:]}\n"
            else:
                lines.append(line)

    def answer(self, arguments: list[str]) -> tuple[str, int]:
        """What the tool prints, and its exit status."""
        question = arguments[0].partition("=")[0] if arguments else ""
        if "nvidia-smi" in self.sections:
            return "\n".join(self.sections["nvidia-smi"]) + "\n", self.code
        if not question.startswith("--query-"):
            return "\n".join(self.sections.get(f"nvidia-smi {question}", [])) + "\n" + self.says, self.code
        fields = arguments[0].partition("=")[2].split(",")
        unknown = next((field for field in fields if field in self.lacks), None)
        if unknown is not None:
            return f'Field "{unknown}" is not a valid field to query.\n', 2
        rows = self._rows(f"nvidia-smi {question} --format=csv")
        shown = [", ".join(_bare(row.get(ALIASES.get(field, field), "[N/A]")) for field in fields) for row in rows]
        return "".join(f"{line}\n" for line in shown) + self.says, self.code

    def _rows(self, section: str) -> list[dict[str, str]]:
        lines = self.sections.get(section, [])
        recorded = _table([line for line in lines if not line.startswith("+ ")])
        added = _table([line[2:] for line in lines if line.startswith("+ ")])
        if not recorded or not added:
            return recorded or added
        return [{**row, **more} for row, more in zip(recorded, added, strict=True)]


def _table(lines: list[str]) -> list[dict[str, str]]:
    if not lines:
        return []
    header = [name.partition(" [")[0] for name in lines[0].split(", ")]
    return [dict(zip(header, line.split(", "), strict=True)) for line in lines[1:]]


def _bare(value: str) -> str:
    """A value as `nounits` prints it."""
    found = _UNIT.fullmatch(value)
    return found[1] if found else value


if __name__ == "__main__":
    text, status = Recording(Path(sys.argv[1]).read_text(encoding="utf-8")).answer(sys.argv[2:])
    sys.stdout.write(text)
    sys.exit(status)
