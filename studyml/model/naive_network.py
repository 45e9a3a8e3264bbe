"""A naive predictor as an ONNX graph, so that a fallback is published and scored like any version.

The graph is one linear layer over the encoded inputs: ``hours = input @ weight + bias``.
"""

from pathlib import Path

import numpy as np


def save_linear(folder: Path, weights: list[float], bias: float) -> None:
    """Write ``model.onnx`` for inputs [n, len(weights)] and hours [n, 1]."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    width = len(weights)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["inputs", "weight", "bias"], ["hours"])],
        "naive",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("hours", TensorProto.FLOAT, ["rows", 1])],
        [
            numpy_helper.from_array(np.array(weights, np.float32).reshape(width, 1), "weight"),
            numpy_helper.from_array(np.array([bias], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
