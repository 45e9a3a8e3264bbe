"""How good the predictions are: ours beside peers, on the same rows and the same honest features."""
