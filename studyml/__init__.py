"""studyml keeps a study time predictor good, every night, unattended."""

__version__ = "0.1.0"
