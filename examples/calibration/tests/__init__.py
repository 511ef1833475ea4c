"""Threshold tests of the tiny lab, written in the conventions that `gatewatch calibrate` reads."""
