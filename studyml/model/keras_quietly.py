"""Keras on TensorFlow, without the dozens of lines that they print about a machine without a GPU."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any


def import_keras() -> Any:
    """The module ``keras``; the first import takes seconds."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module="keras")
    with contextlib.nullcontext() if "tensorflow" in sys.modules else _quiet_descriptor():
        import keras
        import tensorflow

    # It warns of every training after the first few: each one traces a graph of its own, as it must.
    tensorflow.get_logger().setLevel("ERROR")
    return keras


@contextlib.contextmanager
def _quiet_descriptor() -> Iterator[None]:
    """Silence what C++ writes to standard error itself while it loads, before any log level counts."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
