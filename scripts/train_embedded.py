"""Make the embedded model from a folder of text: hold text out, pretrain, store in float16, measure.

    python -m scripts.train_embedded CORPUS --run run --out weights/tiny --often tatoeba-000=3 --often wordnet-000=2

Stopped, it goes on from the last checkpoint when it is given again. Everything but the measuring is
`distilroberta-np pretrain`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from distilroberta_np import RobertaForMaskedLM, RobertaTokenizer
from distilroberta_np.cli.training_options import run_training
from distilroberta_np.training.pretrain import pretrain
from distilroberta_np.training.settings import PretrainSettings
from scripts.held_out import split_documents
from scripts.measure_embedded import measure, summary

SETTINGS = PretrainSettings(
    vocab_size=16384,
    hidden_size=256,
    num_hidden_layers=6,
    num_attention_heads=4,
    intermediate_size=1024,
    length=128,
    last_length=512,
    last_updates=650,
    last_masking=0.15,
    batch_tokens=12288,
    updates=6500,
    warmup=100,
    decay=1300,
    optimizer="muon",
    learning_rate=2e-3,
    weight_decay=0.05,
    masking=0.3,
    whole_words=True,
)
# Settings that are options.
CHOSEN = ("updates", "warmup", "decay", "learning_rate", "last_updates", "learned_positions")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="a folder of .txt or .txt.gz files, as `pretrain` reads them")
    parser.add_argument("--run", type=Path, required=True, help="the training's folder")
    parser.add_argument("--out", type=Path, required=True, help="where the model goes")
    parser.add_argument(
        "--initial", type=Path, metavar="MODEL", help="begin with the weights and tokenizer of the model in this folder"
    )
    for name in CHOSEN:
        default = getattr(SETTINGS, name)
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=type(default), default=default, help="as `pretrain` has it")
    parser.add_argument(
        "--last-often", metavar="NAME=TIMES", action="append", default=[], help="the same for the last updates; 0: not"
    )
    parser.add_argument(
        "--often",
        metavar="NAME=TIMES",
        action="append",
        default=[],
        help="see the file NAME.txt this many times as often as the others, because it is small and good; 0: never",
    )
    options = parser.parse_args()
    files = sorted(path for path in options.corpus.iterdir() if path.name.endswith((".txt", ".txt.gz")))
    names = {path.name.removesuffix(".gz").removesuffix(".txt"): path for path in files}
    often, last_often = (
        {name: int(count) for name, count in (item.split("=") for item in items)}
        for items in (options.often, options.last_often)
    )
    unknown = sorted((often.keys() | last_often.keys()) - names.keys())
    if not files or unknown:
        parser.error(f"no such text in {options.corpus}: {', '.join(unknown) or '*.txt'}")

    training, held_out = split_documents(files, options.run / "text")
    of = dict(zip(names, training, strict=True))
    first = [of[name] for name in names for _ in range(often.get(name, 1))]
    last = [of[name] for name in names for _ in range(last_often.get(name, 1))]
    chosen = {name: getattr(options, name) for name in CHOSEN}
    named = {"last_files": last, "initial": options.initial, "save_every": 10.0}
    if not run_training(pretrain, options.run, first, replace(SETTINGS, **chosen), **named):
        return 130

    RobertaForMaskedLM.from_pretrained(options.run / "checkpoint").save_pretrained(options.out, dtype="float16")
    RobertaTokenizer.from_pretrained(options.run / "checkpoint").save_pretrained(options.out)
    if (options.run / "losses.png").exists():
        shutil.copy(options.run / "losses.png", options.out)
    figures = measure(str(options.out), held_out, most=3000)
    (options.run / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(summary(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
