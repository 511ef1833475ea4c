"""Records and decisions: typed values in, a verdict out. No I/O, no clock, no randomness, no logging."""
