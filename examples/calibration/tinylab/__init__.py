"""Three tiny models behind one loopback server: the system under test of the example calibration."""
