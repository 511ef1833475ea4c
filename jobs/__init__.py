"""Actors: plan, start, repeat, resume, recover, apply; the runner that travels to a host."""
