"""The loss of a classification: softmax and cross-entropy in one."""

from __future__ import annotations

import numpy as np

from .kernels import spans
from .params import Array


def cross_entropy(logits: Array, labels: Array, count: int | None = None) -> tuple[float, Array]:
    """The mean over the rows of -log softmax(logits)[label], and its gradient.

        L = 1/N sum_n (log sum_j exp(z_nj) - z_n,label)        dL/dz_nj = (softmax(z_n)_j - 1[j = label]) / N

    Args:
        logits: (N, V), which the gradient overwrites.
        labels: (N,) integer.
        count: what to divide by, where these are only some of the rows of a batch; N if None.

    Returns:
        The loss, and d_logits (N, V).
    """
    count = len(labels) if count is None else count
    labels = np.asarray(labels, like=logits)
    ones = np.ones_like(logits, shape=logits.shape[-1])
    loss = 0.0
    for span in spans(logits):
        block, wanted = logits[span], labels[span]
        rows = np.arange(len(wanted), like=logits)
        block -= block.max(axis=-1, keepdims=True)
        chosen = block[rows, wanted]
        np.exp(block, out=block)
        total = block @ ones
        loss += float((np.log(total) - chosen).sum(dtype=np.float64))
        block /= total[:, None]
        block[rows, wanted] -= 1
        block *= 1 / count
    return loss / count, logits
