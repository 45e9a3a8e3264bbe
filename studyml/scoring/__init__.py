"""Scoring: hours and intervals from a published version, with ONNX Runtime and NumPy alone."""
