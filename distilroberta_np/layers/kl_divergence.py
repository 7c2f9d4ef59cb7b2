"""The loss of soft targets: how far a student's probabilities are from its teacher's."""

from __future__ import annotations

import numpy as np

from .kernels import spans
from .params import Array


def kl_divergence(
    logits: Array, teacher_logits: Array, temperature: float, count: int | None = None
) -> tuple[float, Array]:
    """The mean over the rows of KL(p || q) T^2 with p = softmax(t / T) of a teacher and q = softmax(z / T) of its
    student, and its gradient (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2; Sanh et
    al. 2019, section 2).

        L = T^2/N sum_n sum_j p_nj (log p_nj - log q_nj)        dL/dz_nj = T/N (q_nj - p_nj)

    Only -p log q depends on z: -sum_j p_j log q_j = log sum_j exp(z_j / T) - sum_j p_j z_j / T, as the p sum to 1, and
    its derivative by z_j is (q_j - p_j) / T. The T^2 makes up for that 1 / T and for the one in q - p, which is about
    1 / T as large, so that T can be changed without the weight of this loss.

    Args:
        logits: z, (N, V), which the gradient overwrites.
        teacher_logits: t, (N, V), which are overwritten too.
        temperature: T; the larger, the more the unlikely words count.
        count: what to divide by, where these are only some of the rows of a batch; N if None.

    Returns:
        The loss, as torch's `KLDivLoss(reduction="batchmean")` times T^2, and d_logits (N, V).
    """
    count = len(logits) if count is None else count
    ones = np.ones_like(logits, shape=logits.shape[-1])
    loss = 0.0
    for span in spans(logits):
        z, t = logits[span], teacher_logits[span]
        for block in (z, t):
            block *= 1 / temperature
            block -= block.max(axis=-1, keepdims=True)
        difference = t - z  # log p - log q, but for the logarithms of the two sums
        p, q = (np.exp(block, out=block) for block in (t, z))
        p_total, q_total = ((block @ ones)[:, None] for block in (p, q))
        p /= p_total
        difference *= p
        loss += float((difference @ ones + (np.log(q_total) - np.log(p_total))[:, 0]).sum(dtype=np.float64))
        q /= q_total
        q -= p
        q *= temperature / count
    return temperature**2 * loss / count, logits
