"""Losses: each returns the mean over the rows of a batch, and its gradient with respect to the model's output.

`count` replaces the number of rows that a loss divides by, for gradients that are added up over the parts of a batch.
"""

from __future__ import annotations

import numpy as np

from .activation import sigmoid
from .kernels import blocks, row_of, spans, to_device_of
from .params import Array

_EPS = 1e-12  # on each squared length, as in torch's CosineEmbeddingLoss


def cross_entropy(logits: Array, labels: Array, count: int | None = None) -> tuple[float, Array]:
    """The mean of -log softmax(logits)[label], and its gradient.

        L = 1/N sum_n (log sum_j exp(z_nj) - z_n,label)        dL/dz_nj = (softmax(z_n)_j - 1[j = label]) / N

    Shapes: logits (N, V), which the gradient overwrites, labels (N,) integer -> the loss, and d_logits (N, V).
    """
    count = len(labels) if count is None else count
    labels = to_device_of(logits, labels)
    ones = row_of(1, like=logits)
    loss = 0.0
    for span in spans(logits):
        block, targets = logits[span], labels[span]
        rows = np.arange(len(targets), like=logits)
        block -= block.max(axis=-1, keepdims=True)
        target_logits = block[rows, targets]
        np.exp(block, out=block)
        total = block @ ones
        loss += float((np.log(total) - target_logits).sum(dtype=np.float64))
        block /= total[:, None]
        block[rows, targets] -= 1
        block *= 1 / count
    return loss / count, logits


def binary_cross_entropy(logits: Array, labels: Array, count: int | None = None) -> tuple[float, Array]:
    """The mean over rows and labels of -log of the probability that a sigmoid gives to the true value.

        L = 1/NC sum_nc (max(z, 0) - z y + log(1 + exp(-|z|)))        dL/dz = (sigmoid(z) - y) / NC

    Shapes: logits (N, C), labels (N, C) of 0 and 1 -> the loss, and d_logits (N, C).
    """
    elements = logits.shape[1] * (len(logits) if count is None else count)
    labels = to_device_of(logits, labels)
    losses = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    d_logits: Array = ((sigmoid(logits) - labels) * (1 / elements)).astype(logits.dtype)
    return float(losses.sum(dtype=np.float64)) / elements, d_logits


def mean_squared_error(logits: Array, labels: Array, count: int | None = None) -> tuple[float, Array]:
    """The mean of (z - y)^2, and its gradient 2 (z - y) / NC.

    Shapes: logits (N, C), labels (N, C), or (N,) for C = 1 -> the loss, and d_logits (N, C).
    """
    elements = logits.shape[1] * (len(logits) if count is None else count)
    error = logits - to_device_of(logits, labels.reshape(logits.shape))
    d_logits: Array = (error * (2 / elements)).astype(logits.dtype)
    return float(np.square(error, dtype=np.float64).sum()) / elements, d_logits


def kl_divergence(
    logits: Array, teacher_logits: Array, temperature: float, count: int | None = None
) -> tuple[float, Array]:
    """The mean of KL(p || q) T^2 with p = softmax(t / T) of a teacher and q = softmax(z / T) of its student, and its
    gradient (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2; Sanh et al. 2019,
    section 2).

        L = T^2/N sum_n sum_j p_nj (log p_nj - log q_nj)        dL/dz_nj = T/N (q_nj - p_nj)

    Only -p log q depends on z: -sum_j p_j log q_j = log sum_j exp(z_j / T) - sum_j p_j z_j / T, as the p sum to 1, and
    its derivative with respect to z_j is (q_j - p_j) / T. T^2 compensates for that 1 / T and for the one in q - p,
    which is about 1 / T as large, so that T can be changed without the weight of this loss.

    Args:
        logits: z, (N, V), which the gradient overwrites.
        teacher_logits: t, (N, V), which are overwritten too.
        temperature: T; the larger, the more the unlikely words count.
        count: the number to divide by; N if None.

    Returns:
        The loss, as torch's `KLDivLoss(reduction="batchmean")` times T^2, and d_logits (N, V).
    """
    count = len(logits) if count is None else count
    ones = row_of(1, like=logits)
    loss = 0.0
    for span in spans(logits):
        z, t = logits[span], teacher_logits[span]
        for block in (z, t):
            block *= 1 / temperature
            block -= block.max(axis=-1, keepdims=True)
        difference = t - z  # log p - log q, without the logarithms of the two sums
        p, q = (np.exp(block, out=block) for block in (t, z))
        p_total, q_total = ((block @ ones)[:, None] for block in (p, q))
        p /= p_total
        difference *= p
        loss += float((difference @ ones + (np.log(q_total) - np.log(p_total))[:, 0]).sum(dtype=np.float64))
        q /= q_total
        q -= p
        q *= temperature / count
    return temperature**2 * loss / count, logits


def cosine_distance(
    hidden_states: Array, teacher_hidden_states: Array, count: int | None = None
) -> tuple[float, Array]:
    """The mean of 1 - cos(x, y), and its gradient (Sanh et al. 2019, section 3, "cosine embedding loss").

        cos = x.y / (|x| |y|)        L = 1/N sum_n (1 - cos_n)        dL/dx = -1/N (y / (|x| |y|) - cos x / |x|^2)

    as d(x.y)/dx = y and d(1 / |x|)/dx = -x / |x|^3.

    Shapes: hidden_states x and teacher_hidden_states y (N, H) -> the loss, as torch's `CosineEmbeddingLoss` with a
    target of 1, and the gradient of x (N, H).
    """
    count = len(hidden_states) if count is None else count
    ones = row_of(1, like=hidden_states)
    d_hidden_states = np.empty_like(hidden_states)
    loss = 0.0
    for x, y, result in blocks(hidden_states, teacher_hidden_states, d_hidden_states):
        squared, teacher_squared = (((block * block) @ ones)[:, None] + _EPS for block in (x, y))  # |x|^2 and |y|^2
        lengths = np.sqrt(squared * teacher_squared)
        cosine = ((x * y) @ ones)[:, None] / lengths
        loss += float((1 - cosine).sum(dtype=np.float64))
        np.multiply(x, cosine / squared, out=result)
        result -= y / lengths
        result *= 1 / count
    return loss / count, d_hidden_states
