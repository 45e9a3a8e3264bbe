"""Steps: one module per task, in the order the data flows; they compose the folders beside them."""
