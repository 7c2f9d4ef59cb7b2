"""The layers of RoBERTa in NumPy: weights, forward pass and backward pass of each. Read the files in this order:

1. `linear.py`, `layer_norm.py`, `activation.py`: the three small functions that everything is made of
2. `embeddings.py`: from token ids to hidden states
3. `attention.py` and `feed_forward.py`: the two halves of a layer
4. `encoder.py`: one layer, and the stack of them
5. `losses.py` and `dropout.py`: for training only
6. `kernels.py`: everything that is done for speed or rounding, explained once

`distilroberta_np/models` adds the heads. Every product, reshape and transpose is annotated with the same letters:

    B  batch          sequences of equal length, computed together
    S  sequence       tokens per sequence
    H  hidden size    width of a hidden state                       (distilroberta-base: 768)
    A  heads          num_attention_heads                           (12)
    D  head size      H / A                                         (64)
    F  feed-forward   intermediate_size                             (3072)
    L  layers         num_hidden_layers                             (6)
    P  positions      max_position_embeddings                       (514)
    V  vocabulary     vocab_size                                    (50265)
    T  token types    type_vocab_size                               (1)
    C  labels         num_labels of a classification head
    N  rows           all tokens of a packed batch, one sequence after the other
    M  query rows     positions whose output is computed (all N, except in the last layer)
    Q  queries        query rows per sequence (S, except in the last layer)

A layer is a pair of pure functions. The forward function returns its output and a cache of the activations that the
backward function needs; inference drops the cache. Primitives (`linear`, `layer_norm`, `gelu`, `softmax`) return the
output only, and their backward functions take the inputs or outputs again. Gradients are named `d_x` for dL/dx. All
functions keep the dtype that they are given; the models run them in float32.

Sources: Vaswani et al. 2017 (attention, feed-forward), Devlin et al. 2018 (BERT), Liu et al. 2019 (RoBERTa),
Sanh et al. 2019 (distillation), Hendrycks & Gimpel 2016 (GELU), Ba et al. 2016 (layer norm),
Press & Wolf 2017 (tied embeddings).
"""
