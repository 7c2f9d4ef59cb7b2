"""The contenders of `training_speed.py`: each trains the same model, in a process of its own that times itself.

    python -m scripts.benchmarks.training_contenders NAME FOLDER THREADS

FOLDER holds the model's first weights and batch.npz. For each line on standard input the process makes an update and
answers with a line of JSON: seconds and loss.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LEARNING_RATE, WEIGHT_DECAY, CLIP = 1e-3, 0.01, 1.0

# Trains for one update and returns its loss.
Update = Callable[[], float]


def ours(folder: Path, threads: int) -> Update:
    """An update of this package, as in `pretrain`."""
    return _ours(folder, lambda array: np.array(array))


def _ours(folder: Path, kind: Callable[[Any], Any]) -> Update:
    """The same on arrays of another type."""
    from distilroberta_np import RobertaForMaskedLM
    from distilroberta_np.layers.params import tree_map
    from distilroberta_np.models.masked_lm import masked_lm_gradients
    from distilroberta_np.training.data.batches import batch_gradients, count_masked
    from distilroberta_np.training.optim.adamw import adamw, clip, start

    model = RobertaForMaskedLM.from_pretrained(folder)
    weights = tree_map(kind, model.weights)
    state = start(weights)
    stored = np.load(folder / "batch.npz")
    batch = list(zip(stored["input_ids"], stored["labels"], strict=True))
    masked = count_masked(batch)

    def compute(ids: Any, labels: Any, dropout: Any) -> tuple[float, Any]:
        return masked_lm_gradients(ids, labels, weights, model.config, dropout, masked)

    def update() -> float:
        nonlocal state
        loss, gradients = batch_gradients(batch, compute, 0.0, [0], "cpu")
        clip(gradients, CLIP)
        state = adamw(weights, gradients, state, LEARNING_RATE, WEIGHT_DECAY)
        return loss

    return update


def torch_all(folder: Path, threads: int) -> Update:
    """transformers on torch with its own loss: logits at all positions."""
    return _torch(folder, threads, lambda model, inputs: model(**inputs).loss)


def torch_masks(folder: Path, threads: int) -> Update:
    """transformers on torch, with the head at the masked positions only, as ours."""
    import torch

    def loss(model: Any, inputs: Any) -> Any:
        masked = inputs["labels"] >= 0
        hidden_states = model.roberta(inputs["input_ids"], inputs["attention_mask"]).last_hidden_state[masked]
        return torch.nn.functional.cross_entropy(model.lm_head(hidden_states), inputs["labels"][masked])

    return _torch(folder, threads, loss)


def _torch(folder: Path, threads: int, loss_of: Callable[[Any, Any], Any]) -> Update:
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    model = transformers.RobertaForMaskedLM.from_pretrained(
        folder, dtype=torch.float32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    ).train()
    groups = [
        {"params": [p for p in model.parameters() if (p.ndim > 1) == matrices], "weight_decay": decay}
        for matrices, decay in ((True, WEIGHT_DECAY), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), eps=1e-6, fused=True)
    stored = np.load(folder / "batch.npz")
    inputs = {name: torch.from_numpy(stored[name]) for name in ("input_ids", "labels")}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])

    def update() -> float:
        optimizer.zero_grad()
        loss = loss_of(model, inputs)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return float(loss.item())

    return update


# -- the products in ours --------------------------------------------------------------------------------------------


class TimedArray(np.ndarray[Any, Any]):
    """An array that times and counts its matrix products; results are of the same type."""

    seconds = operations = 0.0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        arrays = [_plain(array) for array in inputs]
        if out is not None:
            named["out"] = tuple(_plain(array) for array in out)
        began = time.perf_counter()
        result = getattr(ufunc, method)(*arrays, **named)
        if ufunc is np.matmul and min(array.ndim for array in arrays) > 1:
            TimedArray.seconds += time.perf_counter() - began
            TimedArray.operations += 2 * result.size * arrays[0].shape[-1]
        if out is not None:
            return out[0]
        return result.view(TimedArray) if isinstance(result, np.ndarray) else result


def _plain(array: Any) -> Any:
    return array.view(np.ndarray) if isinstance(array, TimedArray) else array


def products(folder: Path, threads: int) -> Update:
    """Our update, with the time of its matrix products."""
    return _ours(folder, lambda array: np.array(array).view(TimedArray))


CONTENDERS = {function.__name__: function for function in (ours, torch_all, torch_masks, products)}


def main() -> None:
    name, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    update = CONTENDERS[name](folder, threads)
    print("ready", flush=True)
    for _ in sys.stdin:
        TimedArray.seconds = TimedArray.operations = 0.0
        began = time.perf_counter()
        loss = update()
        answer = {
            "seconds": time.perf_counter() - began,
            "loss": float(loss),
            "product_seconds": TimedArray.seconds,
            "operations": TimedArray.operations,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
