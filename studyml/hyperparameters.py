"""What a person may change about any recipe: the guide's remedies and the axes of a hyperparameter search."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: Hyperparameters that change nothing for an architecture: its layers, and those of an lstm's dropout, are the guide's.
WITHOUT_EFFECT: dict[str, frozenset[str]] = {
    "lstm": frozenset({"neurons", "layers", "dropout"}),
    "attention": frozenset({"neurons", "layers"}),
}


class Hyperparameters(BaseModel):
    """Overrides of a recipe's own values; None keeps the recipe's (guide.md, Model Optimization, Troubleshooting)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    neurons: int | None = Field(None, ge=4, le=4096, description="units of the first layer; the others scale with it")
    layers: int | None = Field(None, ge=1, le=8, description="number of hidden layers, each half as wide as the last")
    dropout: float | None = Field(None, ge=0, lt=0.95, description="dropout after each hidden layer but the last")
    learning_rate: float | None = Field(None, gt=0, le=1, description="Adam's learning rate")
    schedule: Literal["constant", "cosine", "plateau"] | None = Field(None, description="how the learning rate falls")
    epochs: int | None = Field(None, ge=1, le=100_000, description="maximum epochs")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="rows per training step")
    stop_patience: int | None = Field(None, ge=1, description="stop after so many epochs without improvement")
    l2: float | None = Field(None, ge=0, le=10, description="L2 penalty on the kernels")
    clipnorm: float | None = Field(None, gt=0, description="largest norm of a gradient")
    initializer: Literal["glorot_uniform", "he_normal"] | None = Field(None, description="how kernels start")
    augmentation: float | None = Field(None, ge=0, le=10, description="noisy copies as a share of the training rows")
    outliers: Literal["keep", "remove"] | None = Field(None, description="outlying labels of the training rows")
