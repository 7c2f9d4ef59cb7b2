"""Training: the forward and backward passes of a whole model, its loss, the optimiser, and the loop round them."""
