"""Accuracy of float32: errors of this package and of transformers on torch against float64. Prints Markdown.

    python -m scripts.parity_report

For seeded models of distilroberta-base's and roberta-base's shapes, and for the embedded model: the root mean square
and the largest error of every hidden state and of the logits, over all tokens of several seeds and texts. Needs the
`parity` extra and about 4 GB of memory.
"""

from __future__ import annotations

from scripts.machine import describe_machine
from tests.support.accuracy import Measured, embedded_model, measure, seeded_models
from tests.support.transformers_models import DISTILROBERTA, ROBERTA_BASE


def print_table(title: str, measured: Measured) -> None:
    print(f"\n{title}\n")
    print("| | our RMS error | torch's | ours / torch's | our largest | torch's |")
    print("|---|---|---|---|---|---|")
    for step, (ours, torchs) in measured.items():
        print(
            f"| {step} | {ours.rms:.2e} | {torchs.rms:.2e} | {ours.rms / torchs.rms:.2f} "
            f"| {ours.largest:.1e} | {torchs.largest:.1e} |"
        )


def main() -> None:
    print(f"Errors in float32 against float64, on {describe_machine('torch', 'transformers')}.")
    print_table("distilroberta-base's shape (6 x 768), 3 seeds", measure(seeded_models(DISTILROBERTA, range(3))))
    print_table("roberta-base's shape (12 x 768), 2 seeds", measure(seeded_models(ROBERTA_BASE, range(2))))
    print_table("the embedded model (6 x 256), 4 seeds of texts", measure(embedded_model(range(4))))


if __name__ == "__main__":
    main()
