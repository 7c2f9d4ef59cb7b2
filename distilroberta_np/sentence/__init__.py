"""Embeddings of sentences, and scores of pairs of texts: the models of sentence-transformers."""
