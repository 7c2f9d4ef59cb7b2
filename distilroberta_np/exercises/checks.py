"""Ten exercises: write the functions that `roberta.py` leaves open, and run `pytest` in this folder.

Each test looks at one function alone: it borrows all others from the package, so they may still be unwritten.
A red test says what is different, and names the usual mistake when it recognizes one.
"""

import math

import numpy as np
import pytest
import roberta

from distilroberta_np.exercises import EXERCISES, solution

RIGHT: dict = {"__name__": "distilroberta_np.reference.solution"}
exec(solution(), RIGHT)
RNG = np.random.default_rng(0)
S, H, A, F, V = 5, 12, 3, 16, 20  # tokens, hidden size, heads, feed-forward size, vocabulary
EPS = 1e-5


@pytest.fixture(autouse=True)
def others(request, monkeypatch):
    """Borrow every function but the one under test from the solution."""
    for name in EXERCISES:
        if request.node.name != f"test_{name}":
            monkeypatch.setattr(roberta, name, RIGHT[name])


def numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def weights(rows, columns):
    return {"weight": numbers(rows, columns), "bias": numbers(rows)}


def norm_weights():
    return {"weight": 1 + numbers(H) / 10, "bias": numbers(H)}


def attention_weights():
    maps = {name: weights(H, H) for name in ("query", "key", "value")}
    return {"self": maps, "output": {"dense": weights(H, H), "LayerNorm": norm_weights()}}


def layer_weights():
    return {
        "attention": attention_weights(),
        "intermediate": {"dense": weights(F, H)},
        "output": {"dense": weights(H, F), "LayerNorm": norm_weights()},
    }


def same(mine, right):
    return isinstance(mine, np.ndarray) and mine.shape == right.shape and np.allclose(mine, right, rtol=1e-4, atol=1e-5)


def check(mine, right, mistakes):
    """Pass if the result is right; otherwise fail with the hint of the mistake that gives this result."""
    if same(mine, right):
        if mine.dtype != right.dtype:
            pytest.fail(f"The numbers are right, but of type {mine.dtype} instead of {right.dtype}.")
        return
    if mine is None:
        pytest.fail("The function returns nothing. Is there a `return`?")
    for hint, wrong in mistakes.items():
        if same(mine, np.asarray(wrong)):
            pytest.fail(f"Hint: {hint}")
    if np.shape(mine) != right.shape:
        pytest.fail(f"The shape is {np.shape(mine)} and should be {right.shape}.")
    pytest.fail(f"The shape is right, but numbers differ by up to {np.abs(mine - right).max():.3g}.")


def test_softmax():
    x = numbers(A, S, S)
    e = np.exp(x)
    mistakes = {
        "normalize each row by itself: sum over the last axis with keepdims=True.": e / e.sum(),
        "the sum runs along the wrong axis; it is the last one.": e / e.sum(axis=1, keepdims=True),
        "exp alone is no distribution; divide by the sum.": e,
    }
    check(roberta.softmax(x), RIGHT["softmax"](x), mistakes)
    with np.errstate(all="ignore"):
        if not np.isfinite(roberta.softmax(np.array([1000.0, 0.0], np.float32))).all():
            pytest.fail("Hint: exp(1000) overflows. Subtract the largest x first; it cancels out.")


def test_layer_norm():
    x, p = 3 * numbers(S, H) + 1, norm_weights()
    centred = x - x.mean(axis=-1, keepdims=True)
    variance, gain, bias = x.var(axis=-1, keepdims=True), p["weight"], p["bias"]
    sample = x.var(axis=-1, ddof=1, keepdims=True)
    small = 0.01 * numbers(S, H)
    mistakes = {
        "divide by the standard deviation, the root of the variance.": centred / (variance + EPS) * gain + bias,
        "the variance is divided by H, not by H - 1 (ddof=0).": centred / np.sqrt(sample + EPS) * gain + bias,
        "gain and bias are missing.": centred / np.sqrt(variance + EPS),
        "the bias is missing.": centred / np.sqrt(variance + EPS) * gain,
        "subtract the mean.": x / np.sqrt(variance + EPS) * gain + bias,
        "mean and variance are those of each token: use axis=-1.": (x - x.mean(axis=0))
        / np.sqrt(x.var(axis=0) + EPS)
        * gain
        + bias,
        "mean and variance are those of each token, not of all numbers.": (x - x.mean()) / np.sqrt(x.var() + EPS) * gain
        + bias,
    }
    check(roberta.layer_norm(x, p, EPS), RIGHT["layer_norm"](x, p, EPS), mistakes)
    centred, variance = small - small.mean(axis=-1, keepdims=True), small.var(axis=-1, keepdims=True)
    mistakes = {
        "eps is missing.": centred / np.sqrt(variance) * gain + bias,
        "eps belongs under the root.": centred / (np.sqrt(variance) + EPS) * gain + bias,
    }
    check(roberta.layer_norm(small, p, EPS), RIGHT["layer_norm"](small, p, EPS), mistakes)


def test_gelu():
    x = np.linspace(-4, 4, 41, dtype=np.float32)
    tanh = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    if not same(roberta.gelu(x), RIGHT["gelu"](x)) and np.allclose(roberta.gelu(x), tanh, atol=1e-6):
        pytest.fail("Hint: this is the tanh approximation, off by 4.7e-4. RoBERTa uses erf.")
    distribution = 0.5 * (1 + RIGHT["erf"](x / math.sqrt(2)))
    mistakes = {
        "this is ReLU.": np.maximum(x, 0),
        "multiply by x: GELU is x times the distribution function.": distribution,
        "erf takes x / sqrt(2).": x * 0.5 * (1 + RIGHT["erf"](x)),
        "the factor 1/2 is missing.": 2 * x * distribution,
    }
    check(roberta.gelu(x), RIGHT["gelu"](x), mistakes)


def test_linear():
    x, p = numbers(S, H), weights(H, H)
    mistakes = {
        "transpose the weights: checkpoints store them as [out, in].": x @ p["weight"] + p["bias"],
        "the bias is missing.": x @ p["weight"].T,
    }
    check(roberta.linear(x, p), RIGHT["linear"](x, p), mistakes)
    x, p = numbers(S, H), weights(F, H)
    check(roberta.linear(x, p), RIGHT["linear"](x, p), {})


def test_split_heads():
    x = numbers(S, H)
    mistakes = {
        "swap the axes of tokens and heads: [S, A, D] -> [A, S, D].": x.reshape(S, A, -1),
        "reshape to [S, A, D] first, then swap: reshaping to [A, S, D] mixes the tokens.": x.reshape(A, S, -1),
        "a head takes D neighbouring columns, not every A-th.": x.reshape(S, -1, A).transpose(2, 0, 1),
    }
    check(roberta.split_heads(x, A), RIGHT["split_heads"](x, A), mistakes)


def test_attention():
    x, p = numbers(S, H), attention_weights()
    linear, softmax, split, join = (RIGHT[name] for name in ("linear", "softmax", "split_heads", "join_heads"))
    q, k, v = (split(linear(x, p["self"][name]), A) for name in ("query", "key", "value"))
    scores, dense = q @ k.swapaxes(1, 2), p["output"]["dense"]
    scale = math.sqrt(H // A)
    output = lambda probabilities: linear(join(probabilities @ v), dense)  # noqa: E731
    mistakes = {
        "the scale is missing: divide the scores by sqrt(D).": output(softmax(scores)),
        "D is the size of a head, H / A, not H.": output(softmax(scores / math.sqrt(H))),
        "divide by sqrt(D), not by D.": output(softmax(scores / (H // A))),
        "the softmax runs over the keys, the last axis.": output(
            softmax((scores / scale).swapaxes(1, 2)).swapaxes(1, 2)
        ),
        "each query looks at all keys: Q K^T, not K Q^T.": output(softmax(scores.swapaxes(1, 2) / scale)),
        "the last linear layer (output.dense) is missing.": join(softmax(scores / scale) @ v),
        "the probabilities weigh the values, not the keys.": linear(join(softmax(scores / scale) @ k), dense),
        "the softmax is missing.": output(scores / scale),
        "the residual is added in `layer`, not here.": x + output(softmax(scores / scale)),
    }
    record: dict = {}
    check(roberta.attention(x, p, A, record), RIGHT["attention"](x, p, A, {}), mistakes)
    if "probabilities" not in record:
        pytest.fail("The output is right. Also put the results into `record`: record.update(probabilities=...).")


def test_feed_forward():
    x, p = numbers(S, H), layer_weights()
    linear, gelu = RIGHT["linear"], RIGHT["gelu"]
    inner = linear(x, p["intermediate"]["dense"])
    right = RIGHT["feed_forward"](x, p, {})
    mistakes = {
        "the GELU between the two linear layers is missing.": linear(inner, p["output"]["dense"]),
        "no GELU after the second linear layer.": gelu(right),
        "the residual is added in `layer`, not here.": x + right,
        "use gelu, not ReLU.": linear(np.maximum(inner, 0), p["output"]["dense"]),
    }
    check(roberta.feed_forward(x, p, {}), right, mistakes)


def test_layer():
    x, p = numbers(S, H), layer_weights()
    norm = lambda y, q: RIGHT["layer_norm"](y, q["LayerNorm"], EPS)  # noqa: E731
    attention = lambda y: RIGHT["attention"](y, p["attention"], A, {})  # noqa: E731
    forward = lambda y: RIGHT["feed_forward"](y, p, {})  # noqa: E731
    first, second = p["attention"]["output"], p["output"]
    half = lambda y, q: norm(y + forward(y), q)  # noqa: E731
    middle = norm(x + attention(x), first)
    pre = x + attention(norm(x, first))
    mistakes = {
        "this is pre-norm (GPT-2). RoBERTa normalizes the sum: LayerNorm(x + f(x)).": pre + forward(norm(pre, second)),
        "the residual connections are missing: add x before the norm.": norm(
            forward(norm(attention(x), first)), second
        ),
        "the first residual is missing.": half(norm(attention(x), first), second),
        "the second residual is missing.": norm(forward(middle), second),
        "the second residual starts from the first norm's output, not from x.": norm(x + forward(middle), second),
        "the second layer norm is missing.": middle + forward(middle),
        "the first layer norm is missing.": half(x + attention(x), second),
        "the norms are swapped: attention.output.LayerNorm comes first.": (lambda y: norm(y + forward(y), first))(
            norm(x + attention(x), second)
        ),
        "the feed-forward half is missing.": middle,
    }
    check(roberta.layer(x, p, A, EPS, {}), RIGHT["layer"](x, p, A, EPS, {}), mistakes)


def test_lm_head():
    x, words = numbers(S, H), numbers(V, H)
    p = {"dense": weights(H, H), "layer_norm": norm_weights(), "bias": numbers(V)}
    linear, gelu, norm = RIGHT["linear"], RIGHT["gelu"], lambda y: RIGHT["layer_norm"](y, p["layer_norm"], EPS)
    dense = linear(x, p["dense"])
    mistakes = {
        "the bias, one number per word, is missing.": norm(gelu(dense)) @ words.T,
        "the GELU is missing.": norm(dense) @ words.T + p["bias"],
        "the layer norm is missing.": gelu(dense) @ words.T + p["bias"],
        "the layer norm comes after the GELU.": gelu(norm(dense)) @ words.T + p["bias"],
        "the dense layer is missing.": norm(gelu(x)) @ words.T + p["bias"],
        "return logits: the softmax comes later.": RIGHT["softmax"](norm(gelu(dense)) @ words.T + p["bias"]),
    }
    check(roberta.lm_head(x, p, words, EPS, {}), RIGHT["lm_head"](x, p, words, EPS, {}), mistakes)


def test_softmax_backward():
    p, d = RIGHT["softmax"](numbers(A, S)), numbers(A, S)
    total = (d * p).sum(axis=-1, keepdims=True)
    mistakes = {
        "every probability depends on every x: subtract the sum of dL/dp_i p_i.": p * d,
        "that is the derivative of the sigmoid, the diagonal alone.": p * (1 - p) * d,
        "the sum runs over each row: axis=-1, keepdims=True.": p * (d - (d * p).sum()),
        "multiply by p_j as well.": d - total,
        "weigh the sum by the probabilities.": p * (d - d.sum(axis=-1, keepdims=True)),
    }
    check(roberta.softmax_backward(d, p), RIGHT["softmax_backward"](d, p), mistakes)
