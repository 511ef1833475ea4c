"""Projects that tests copy and calibrate; nothing here is a test of ours."""

from __future__ import annotations

collect_ignore_glob = ["*"]
