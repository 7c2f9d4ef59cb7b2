"""The contenders of `benchmark.py`: ways to fill masks, each in a process of its own that times itself.

    python -m scripts.benchmarks.contenders NAME FOLDER THREADS

FOLDER holds the model, its ONNX exports and workloads.json ({name: {"texts": [...], "batch_size": n}}). The process
reads the names of workloads from standard input and answers each with a line of JSON. A request with "callers" is
answered by that many threads at once, each with its own call.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

# For a workload, the five most likely tokens for the mask of each text, with their probabilities.
Answers = list[list[tuple[int, float]]]
TOP_K = 5


def ours(folder: Path, threads: int) -> Callable[[list[str], int], Answers]:
    """This package's pipeline, as users call it."""
    from distilroberta_np import pipeline

    unmasker = pipeline("fill-mask", folder)

    def fill(texts: list[str], batch_size: int) -> Answers:
        answers = unmasker(texts)
        return _pairs([answers] if len(texts) == 1 else answers)

    return fill


def transformers(folder: Path, threads: int) -> Callable[[list[str], int], Answers]:
    """transformers' pipeline on torch, as users call it."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    unmasker = transformers.pipeline("fill-mask", str(folder), device="cpu", dtype=torch.float32)

    def fill(texts: list[str], batch_size: int) -> Answers:
        answers = unmasker(texts, batch_size=batch_size)
        return _pairs([answers] if len(texts) == 1 else answers)

    return fill


def onnx_whole(folder: Path, threads: int) -> Callable[[list[str], int], Answers]:
    """ONNX Runtime on the exported model, with the logits of all positions."""
    return _onnx(folder, threads, "whole.onnx")


def onnx_masks(folder: Path, threads: int) -> Callable[[list[str], int], Answers]:
    """ONNX Runtime on a model exported with the head at the masked positions only."""
    return _onnx(folder, threads, "masks.onnx")


def _onnx(folder: Path, threads: int, file: str) -> Callable[[list[str], int], Answers]:
    import onnxruntime

    from distilroberta_np import RobertaTokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(folder / file), options, providers=["CPUExecutionProvider"])
    tokenizer = RobertaTokenizer.from_folder(folder)

    def fill(texts: list[str], batch_size: int) -> Answers:
        encoded = [tokenizer.encode(text) for text in texts]
        # Sorted by length, so that there is hardly any padding.
        order = sorted(range(len(texts)), key=lambda text: len(encoded[text]))
        answers: Answers = [[]] * len(texts)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            inputs = tokenizer.pad({"input_ids": [encoded[text] for text in chosen]}, return_tensors="np")
            positions = (inputs["input_ids"] == tokenizer.mask_token_id).argmax(axis=1)
            if file == "masks.onnx":
                logits = session.run(None, inputs | {"positions": positions})[0]
            else:
                logits = session.run(None, inputs)[0][np.arange(len(chosen)), positions]
            probabilities = np.exp(logits - logits.max(axis=-1, keepdims=True))
            probabilities /= probabilities.sum(axis=-1, keepdims=True)
            best = np.argpartition(probabilities, -TOP_K, axis=-1)[:, -TOP_K:]
            for text, row, tokens in zip(chosen, probabilities, best, strict=True):
                ranked = sorted(tokens.tolist(), key=lambda token: -row[token])
                answers[text] = [
                    (token, float(row[token]), tokenizer.decode([token]), tokenizer.decode(_put(encoded[text], token)))
                    for token in ranked
                ]
        return [[answer[:2] for answer in text] for text in answers]

    def _put(ids: list[int], token: int) -> list[int]:
        return [token if given == tokenizer.mask_token_id else given for given in ids]

    return fill


def products(folder: Path, threads: int) -> Callable[[list[str], int], Answers]:
    """The matrix products of filling these masks and nothing else: the time that BLAS needs.

    With the number of rows at which BLAS is fastest, spread over the cores by BLAS itself, into existing arrays.
    """
    from itertools import groupby

    from distilroberta_np import RobertaForMaskedLM, RobertaTokenizer
    from distilroberta_np.models.masked_lm import MAPPED_ROWS

    model, tokenizer = RobertaForMaskedLM.from_pretrained(folder), RobertaTokenizer.from_folder(folder)
    heads = model.config.num_attention_heads
    buffers: dict[str, Any] = {}

    def array(purpose: str, *shape: int) -> Any:
        """An array of this shape, on the same memory each time."""
        size = math.prod(shape)
        if len(buffers.get(purpose, "")) < size:
            buffers[purpose] = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
        return buffers[purpose][:size].reshape(shape)

    def dense(rows: int, weight: Any) -> None:
        values = array("in", rows, weight.shape[1])
        if rows <= 128:  # OpenBLAS is then faster with the weights as the first matrix
            np.matmul(weight, values.T, out=array("out", len(weight), rows))
        else:
            np.matmul(values, weight.T, out=array("out", rows, len(weight)))

    def attention(lengths: list[int], last: bool) -> None:
        for length, group in groupby(lengths):
            texts, size = len(list(group)), model.config.hidden_size // heads
            queries = 1 if last else length
            query = array("in", texts, heads, queries, size)
            key = array("key", texts, heads, length, size)
            scores = array("scores", texts, heads, queries, length)
            np.matmul(query, key.swapaxes(-1, -2), out=scores)
            np.matmul(scores, key, out=array("out", texts, heads, queries, size))

    def multiply(lengths: list[int]) -> None:
        tokens, layers = sum(lengths), model.weights.roberta.layers
        for number, layer in enumerate(layers, start=1):
            last = number == len(layers)
            queries = len(lengths) if last else tokens  # the last layer is computed at the masked positions only
            parts = layer.attention
            dense(queries, parts.query.weight)
            dense(tokens, parts.key.weight)
            dense(tokens, parts.value.weight)
            attention(lengths, last)
            dense(queries, parts.output.weight)
            dense(queries, layer.feed_forward.intermediate.weight)
            dense(queries, layer.feed_forward.output.weight)
        for start in range(0, len(lengths), MAPPED_ROWS):
            rows = min(MAPPED_ROWS, len(lengths) - start)
            dense(rows, model.weights.lm_head.dense.weight)
            dense(rows, model.weights.roberta.embeddings.word)

    def fill(texts: list[str], batch_size: int) -> Answers:
        lengths = sorted(len(tokenizer.encode(text)) for text in texts)
        began = time.perf_counter()
        for start in range(0, len(lengths), 128):
            multiply(lengths[start : start + 128])
        fill.seconds = time.perf_counter() - began  # type: ignore[attr-defined]
        return []

    return fill


CONTENDERS = {function.__name__: function for function in (ours, transformers, onnx_whole, onnx_masks, products)}


def _pairs(answers: Any) -> Answers:
    return [[(item["token"], float(item["score"])) for item in text] for text in answers]


def _call(fill: Callable[[list[str], int], Answers], texts: list[str], batch_size: int, callers: int) -> Answers:
    if callers == 1:
        return fill(texts, batch_size)
    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(fill, [texts] * callers, [batch_size] * callers))[-1]


def main() -> None:
    name, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    workloads = json.loads((folder / "workloads.json").read_text())
    fill = CONTENDERS[name](folder, threads)
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        workload = workloads[request["workload"]]
        batch_size = request.get("batch_size", workload["batch_size"])
        texts, callers = workload["texts"][: request.get("texts")], request.get("callers", 1)
        began, cpu = time.perf_counter(), time.process_time()
        answers = _call(fill, texts, batch_size, callers)
        seconds = getattr(fill, "seconds", time.perf_counter() - began)
        answer = {"seconds": seconds, "cpu": time.process_time() - cpu}
        answer["answers"] = answers if request.get("answers") else None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
