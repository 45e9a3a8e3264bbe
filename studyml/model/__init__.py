"""The networks and how they are trained. TensorFlow is imported here only, inside functions."""
