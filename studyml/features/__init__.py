"""Features: one definition for training and scoring, in NumPy alone."""
