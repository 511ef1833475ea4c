"""The calibration loop as it runs on a host."""
