"""Folds: what was observed becomes a typed, timestamped snapshot; one poller per host does the looking."""
