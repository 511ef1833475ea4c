"""The runner: the part of us that executes on a host. Standard library alone, Python 3.10."""
