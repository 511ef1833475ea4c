"""The gates of calibration (spec/calibration.md): strict audit, provenance, environment."""
