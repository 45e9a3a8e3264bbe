"""Evaluation: errors, paired comparisons and the gates, in NumPy alone."""
