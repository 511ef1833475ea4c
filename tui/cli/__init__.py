"""The command line: a twin of the screen over the same core."""
