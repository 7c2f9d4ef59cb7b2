"""The forward pass of RoBERTa in NumPy. Read the files in this order:

1. `layer_norm.py`, `linear.py`, `activation.py` — the three small functions that everything is made of
2. `embeddings.py` — from token ids to vectors
3. `attention.py` and `feed_forward.py` — the two halves of a layer
4. `encoder.py` — one layer, and the stack of them
5. `lm_head.py` and `pooler.py` — from vectors to answers
6. `roberta.py` — the pieces put together

Every product, reshape and transpose says its shape in the same letters:

    B  batch          texts computed together; in attention, texts of one length
    S  sequence       tokens of a text, padding included
    H  hidden_size    width of a token's vector                     (distilroberta-base: 768)
    A  heads          num_attention_heads                           (12)
    D  head size      H / A                                         (64)
    F  feed-forward   intermediate_size                             (3072)
    L  layers         num_hidden_layers                             (6)
    P  positions      max_position_embeddings                       (514)
    V  vocabulary     vocab_size                                    (50265)
    T  token types    type_vocab_size                               (1)
    N  rows           any number of vectors: in the encoder, the tokens of all texts, one under the other
    M  wanted rows    those that a layer computes, of the N that they attend to: all, but in the last layer perhaps few
    Q  queries        rows of a text that attend: S, or those wanted of it

A layer's file holds its weights (a named tuple, in the order they are used) and a pure function from
arrays to arrays. The functions keep the dtype they are given; the models run them in float32. (`Leaf` and `Generic` in
the weights' types only say that what is held for each weight need not be its array: `tree.py`.)

What is done for speed alone: `linear` has two layouts and works in slices, everything between the products goes block
by block (`blocks.py`), and `gelu`, `softmax` and `layer_norm` are put so that NumPy passes over the numbers as few
times as can be. The tests hold each against a plain twin.

Sources: Vaswani et al. 2017 (attention, feed-forward), Devlin et al. 2018 (BERT), Liu et al. 2019 (RoBERTa),
Sanh et al. 2019 (distillation), Hendrycks & Gimpel 2016 (GELU), Ba et al. 2016 (layer norm),
Press & Wolf 2017 (tied embeddings).
"""
