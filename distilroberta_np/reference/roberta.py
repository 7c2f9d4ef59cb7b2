"""RoBERTa (Liu et al. 2019): BERT's encoder (Devlin et al. 2019) with a masked language model's head, and no more.

S tokens, H hidden size, A heads, D = H / A head size, F feed-forward size, V vocabulary. One text at a time, so there
is no padding and no attention mask. The weights are float32 and so is every result.

`record`, a dictionary, receives every intermediate result by its name: record["layer.0"]["probabilities"].
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from .bpe import Tokenizer
from .checkpoint import Array, Params, load

Record = dict[str, Array]


def softmax(x: Array) -> Array:
    """e^x / sum(e^x) along the last axis. Subtracting the largest x cancels out and avoids overflow."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


erf = np.vectorize(math.erf, otypes=[np.float64])


def gelu(x: Array) -> Array:
    """x times the probability that a standard normal number is below x (Hendrycks & Gimpel 2016)."""
    return x * (1 + erf(x / math.sqrt(2))).astype(x.dtype) / 2


def layer_norm(x: Array, p: Params, eps: float) -> Array:
    """Mean 0 and variance 1 for each token, then a learned gain and bias (Ba et al. 2016)."""
    mean = x.mean(axis=-1, keepdims=True)  # [S, H] -> [S, 1]
    variance = x.var(axis=-1, keepdims=True)  # [S, H] -> [S, 1]
    return (x - mean) / np.sqrt(variance + eps) * p["weight"] + p["bias"]


def linear(x: Array, p: Params) -> Array:
    """x W^T + b: checkpoints store weight matrices as [out, in]."""
    return x @ p["weight"].T + p["bias"]  # [S, in] @ [in, out] -> [S, out]


def embeddings(ids: Array, p: Params, pad: int, eps: float, record: Record) -> Array:
    """Word + position + token type, then layer norm. RoBERTa's positions begin after the padding's id: 2, 3, 4..."""
    word = p["word_embeddings"]["weight"][ids]  # [V, H] -> [S, H]
    position = p["position_embeddings"]["weight"][pad + 1 + np.arange(len(ids))]  # [514, H] -> [S, H]
    token_type = p["token_type_embeddings"]["weight"][0]  # [1, H] -> [H]: RoBERTa does without BERT's two sentences
    total = word + position + token_type
    norm = layer_norm(total, p["LayerNorm"], eps)
    record.update(word=word, position=position, token_type=token_type, sum=total, norm=norm)
    return norm


def split_heads(x: Array, heads: int) -> Array:
    """Give each head its D neighbouring columns."""
    return x.reshape(len(x), heads, -1).swapaxes(0, 1)  # [S, H] -> [S, A, D] -> [A, S, D]


def join_heads(x: Array) -> Array:
    """Put the heads next to each other again."""
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)  # [A, S, D] -> [S, A, D] -> [S, H]


def attention(x: Array, p: Params, heads: int, record: Record) -> Array:
    """softmax(Q K^T / sqrt(D)) V in each head (Vaswani et al. 2017, equation 1), then a linear layer over all heads."""
    query, key, value = (split_heads(linear(x, p["self"][name]), heads) for name in ("query", "key", "value"))
    scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])  # [A, S, D] @ [A, D, S] -> [A, S, S]
    probabilities = softmax(scores)  # each row, of a token, sums to 1 over the tokens that it looks at
    context = join_heads(probabilities @ value)  # [A, S, S] @ [A, S, D] -> [A, S, D] -> [S, H]
    output = linear(context, p["output"]["dense"])  # [S, H] @ [H, H] -> [S, H]
    record.update(query=query, key=key, value=value, scores=scores, probabilities=probabilities)
    record.update(context=context, attention_output=output)
    return output


def feed_forward(x: Array, p: Params, record: Record) -> Array:
    """Two linear layers with GELU between them, for each token by itself (Vaswani et al. 2017, section 3.3)."""
    inner = linear(x, p["intermediate"]["dense"])  # [S, H] @ [H, F] -> [S, F]
    activation = gelu(inner)
    output = linear(activation, p["output"]["dense"])  # [S, F] @ [F, H] -> [S, H]
    record.update(feed_forward_inner=inner, feed_forward_activation=activation, feed_forward_output=output)
    return output


def layer(x: Array, p: Params, heads: int, eps: float, record: Record) -> Array:
    """Attention, then feed-forward. The result of each is added to its input, and layer norm comes last (post-norm)."""
    attention_sum = x + attention(x, p["attention"], heads, record)  # [S, H] + [S, H]
    attention_norm = layer_norm(attention_sum, p["attention"]["output"]["LayerNorm"], eps)
    feed_forward_sum = attention_norm + feed_forward(attention_norm, p, record)  # [S, H] + [S, H]
    feed_forward_norm = layer_norm(feed_forward_sum, p["output"]["LayerNorm"], eps)
    record.update(attention_sum=attention_sum, attention_norm=attention_norm)
    record.update(feed_forward_sum=feed_forward_sum, feed_forward_norm=feed_forward_norm)
    return feed_forward_norm


def lm_head(x: Array, p: Params, words: Array, eps: float, record: Record) -> Array:
    """A logit for each token of the vocabulary. The last matrix is the word embeddings again (Press & Wolf 2017)."""
    dense = linear(x, p["dense"])  # [S, H] @ [H, H] -> [S, H]
    activation = gelu(dense)
    norm = layer_norm(activation, p["layer_norm"], eps)
    logits = norm @ words.T + p["bias"]  # [S, H] @ [H, V] -> [S, V]
    record.update(dense=dense, activation=activation, norm=norm, logits=logits)
    return logits


def forward(ids: Array, p: Params, config: dict[str, Any], record: dict[str, Record] | None = None) -> Array:
    """Token ids to logits: [S] -> [S, V]. The parts of `record` are embeddings, layer.0, layer.1, ... and lm_head."""
    record = {} if record is None else record
    eps, encoder = config["layer_norm_eps"], p["roberta"]
    x = embeddings(ids, encoder["embeddings"], config["pad_token_id"], eps, record.setdefault("embeddings", {}))
    for n in range(config["num_hidden_layers"]):
        weights = encoder["encoder"]["layer"][str(n)]
        x = layer(x, weights, config["num_attention_heads"], eps, record.setdefault(f"layer.{n}", {}))  # [S, H]
    words = encoder["embeddings"]["word_embeddings"]["weight"]
    return lm_head(x, p["lm_head"], words, eps, record.setdefault("lm_head", {}))  # [S, H] -> [S, V]


def fill_mask(text: str, folder: Path, top_k: int = 5) -> list[tuple[float, str]]:
    """Return the most likely words for the text's `<mask>`, each with its probability."""
    params, config = load(folder)
    tokenizer = Tokenizer.from_folder(folder)
    ids, _ = tokenizer.encode(text)
    logits = forward(np.array(ids), params, config)[ids.index(tokenizer.ids["<mask>"])]  # [S, V] -> [V]
    probabilities = softmax(logits)
    best = np.argsort(-probabilities)[:top_k].tolist()
    return [(float(probabilities[word]), tokenizer.decode([word])) for word in best]
