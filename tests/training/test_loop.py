"""The sum of a batch's parts; the loop itself is tested with the runs that it makes."""

import numpy as np

from distilroberta_np.training.data.batches import OrderedSum


def test_parts_that_end_in_another_order_have_the_same_sum_to_the_bit():
    rng = np.random.default_rng(0)
    parts = [(float(rng.normal()), rng.normal(size=9).astype(np.float32)) for _ in range(4)]
    sums = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        total = OrderedSum()
        for number in order:
            loss, gradient = parts[number]
            total.add(number, loss, gradient.copy())
        sums.append((total.loss, total.gradients.tolist()))
    assert sums[0] == sums[1]
    np.testing.assert_allclose(sums[0][1], sum(gradient for _, gradient in parts), rtol=1e-5)
