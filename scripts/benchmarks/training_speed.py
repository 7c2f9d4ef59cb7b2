"""The speed of training, next to transformers on torch. Prints Markdown, and writes results/training_speed.json.

    python -m scripts.benchmarks.training_speed [--threads 2] [--rounds 9] [--out FILE]

The model has 6 layers of width 256 and a vocabulary of 16,384; a batch is 64 sequences of 128 tokens, 15% of them
masked. An update is a forward and a backward pass in float32, gradient clipping, and AdamW. Every contender
(`training_contenders.py`) is a process of its own with the same number of threads. They start with the same weights
and take turns, and their losses must agree. Needs the `parity` extra.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from distilroberta_np.training.data.masking import mask_tokens
from scripts.benchmarks.contender import RESULTS, contenders
from scripts.machine import describe_machine

MODULE = "scripts.benchmarks.training_contenders"
SHAPE = {
    "vocab_size": 16384,
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
TEXTS, LENGTH = 64, 128
# Name, and what it stands for in the table.
CONTENDERS = {
    "ours": "distilroberta_np",
    "torch_all": "transformers on torch, logits at all positions (its own loss)",
    "torch_masks": "transformers on torch, logits at masked positions only",
}
# The largest difference between two losses that count as the same.
TOLERANCE = 1e-2


def make_model_and_batch(folder: Path) -> int:
    """Write the first weights, as transformers draws them, and a batch. Returns the number of its tokens."""
    import torch
    import transformers

    torch.manual_seed(0)
    transformers.RobertaForMaskedLM(transformers.RobertaConfig(**SHAPE)).save_pretrained(folder)
    rng = np.random.default_rng(0)
    mask = SHAPE["vocab_size"] - 1
    ids = rng.integers(4, mask, (TEXTS, LENGTH))
    ids[:, 0], ids[:, -1] = 0, 2
    masked, labels = mask_tokens(ids, rng, int(mask), int(mask), range(4), 0.15)
    np.savez(folder / "batch.npz", input_ids=masked, labels=labels)
    return ids.size


def compare(folder: Path, threads: int, rounds: int) -> dict[str, list[float]]:
    """The seconds of every contender's updates, after a first one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with contenders(MODULE, {name: (name, folder) for name in CONTENDERS}, threads) as running:
        for number in range(rounds + 1):
            answers = {name: contender.run() for name, contender in running.items()}
            losses = [answer["loss"] for answer in answers.values()]
            if max(losses) - min(losses) > TOLERANCE:
                raise SystemExit(f"update {number + 1}: the losses differ: {losses}")
            print(f"round {number} of {rounds}", file=sys.stderr)
            for name, answer in answers.items() if number else ():
                seconds[name].append(answer["seconds"])
    return seconds


def share_of_products(folder: Path, threads: int, rounds: int) -> dict[str, float]:
    """The share of our update that the matrix products take, and their speed.

    Timing them slows down the rest, so their time is compared with updates in which nothing is timed.
    """
    with contenders(MODULE, {name: (name, folder) for name in ("ours", "products")}, threads) as running:
        pairs = [(running["ours"].run(), running["products"].run()) for _ in range(rounds + 1)][1:]
    whole = statistics.median(answer["seconds"] for answer, _ in pairs)
    inside = statistics.median(answer["product_seconds"] for _, answer in pairs) / threads
    return {"share": inside / whole, "gflops": pairs[0][1]["operations"] / inside / 1e9}


def markdown(results: dict[str, Any]) -> str:
    seconds, tokens = results["seconds"], results["tokens"]
    speeds = {name: sorted(tokens / taken for taken in seconds[name]) for name in CONTENDERS}
    ours = statistics.median(speeds["ours"])
    lines = [
        f"{results['machine']}; {results['threads']} threads, {len(seconds['ours'])} rounds, {tokens:,} tokens per "
        "update.",
        "",
        "| | tokens per second | slowest and fastest | our speed-up |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, title in CONTENDERS.items():
        speed = statistics.median(speeds[name])
        lines.append(
            f"| {title} | {speed:,.0f} | {speeds[name][0]:,.0f} to {speeds[name][-1]:,.0f} | {ours / speed:.2f} |"
        )
    products = results["products"]
    lines += ["", f"Matrix products take {products['share']:.0%} of our update, at {products['gflops']:.0f} GFLOP/s."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="of each contender (default: 2)")
    parser.add_argument("--rounds", type=int, default=9, help="updates of each contender (default: 9)")
    parser.add_argument("--out", type=Path, default=RESULTS / "training_speed.json", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = make_model_and_batch(folder)
        results = {
            "machine": describe_machine("torch", "transformers"),
            "threads": options.threads,
            "tokens": tokens,
            "seconds": compare(folder, options.threads, options.rounds),
            "products": share_of_products(folder, options.threads, max(1, options.rounds // 3)),
        }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(markdown(results))


if __name__ == "__main__":
    main()
