"""Training: the forward and backward passes of a whole model, its loss, the optimizer, and the loop round them."""
