"""The speed of filling masks, next to transformers on torch, ONNX Runtime, and the matrix products alone.

    python -m scripts.benchmarks.benchmark [--threads 1 2] [--rounds 3 7] [--text FILE] [--out FOLDER]

Needs the `bench` extra. The checkpoint has distilroberta-base's shape and random weights; the sentences are those of
Python's own documentation (`pydoc_data.topics`), or of a text file. Every contender (`contenders.py`) is a process of
its own with the same number of threads; they take turns, and their answers are compared. Writes benchmark.json,
benchmark.md and benchmark.png to the folder. With `--busy`, only the rows for a busy machine and for several calling
threads are measured, and written to busy.json and busy.md.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import json
import pydoc_data.topics
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from distilroberta_np import RobertaTokenizer
from scripts.benchmarks.contender import PROJECT, RESULTS, Contender, contenders
from scripts.machine import describe_machine, measure_process
from tests.support.transformers_models import DISTILROBERTA, seeded_masked_lm

MODULE = "scripts.benchmarks.contenders"
TOKENIZER = PROJECT / "tests" / "data" / "roberta_tokenizer" / "tokenizer.json.gz"
# Names, and titles in the tables.
CONTENDERS = {
    "ours": "distilroberta_np",
    "transformers": "transformers",
    "onnx_whole": "ONNX Runtime, all logits",
    "onnx_masks": "ONNX Runtime, logits at masks",
    "products": "matrix products alone",
}
MAKES_ANSWERS = ("ours", "transformers", "onnx_whole", "onnx_masks")
LENGTHS = (8, 16, 64, 128, 512)
BATCHES = ((8, 16), (32, 16), (8, 128), (32, 128))
MANY = (1, 2, 4, 8, 16, 32, 64)  # texts of 16 tokens, for how time grows with their number
SENTENCES = 2000
# Rows for busy machines: other processes that occupy a core each, and threads that call one model at once.
BUSY = ((0, 1), (1, 1), (2, 1), (0, 8), (0, 32), (2, 8), (2, 32))
BUSY_LENGTHS = (8, 64)
BATCH_SIZES = (1, 4, 8, 16, 32, 64)
# The largest difference between the probabilities of two answers that count as the same.
TOLERANCE = 1e-4

Workloads = dict[str, dict[str, Any]]
Seconds = dict[str, dict[str, list[float]]]  # by workload and contender


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads of each contender")
    parser.add_argument(
        "--rounds",
        type=int,
        nargs="+",
        default=[7],
        help="runs of each contender (a sixth on the sentences), for each number of threads",
    )
    parser.add_argument("--text", type=Path, metavar="FILE", help="take the sentences from this file, UTF-8")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--busy", action="store_true", help="busy machines and several calling threads only")
    options = parser.parse_args()
    if options.text is None:
        text, source = "\n\n".join(pydoc_data.topics.topics.values()), "Python's documentation"
    else:
        text, source = options.text.read_text(encoding="utf-8"), options.text.name
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder / "student", layers=6)
        make_model(folder / "teacher", layers=12)
        workloads = make_workloads(text, RobertaTokenizer.from_folder(folder / "student"))
        for model in ("student", "teacher"):
            (folder / model / "workloads.json").write_text(json.dumps(workloads))
        export(folder / "student")
        if options.busy:
            make_embedded(folder / "embedded", workloads)
            write_busy(busy(folder, max(options.threads), options.rounds[0]), options.out)
            return
        results: dict[str, Any] = {
            "machine": describe_machine("torch", "transformers", "onnxruntime"),
            "source": source,
            "sentences": describe_lengths(workloads[f"{SENTENCES:,} sentences"]["lengths"]),
            "weights_bytes": (folder / "student" / "model.safetensors").stat().st_size,
            "weights_read_seconds": read_weights(folder / "student"),
            "installed_bytes": {package: installed_size(package) for package in ("distilroberta-np", "transformers")},
            "start": start(folder / "student"),
            "threads": {},
        }
        for threads, rounds in zip(options.threads, options.rounds * len(options.threads), strict=False):
            results["threads"][threads] = {
                "student": compare(folder / "student", workloads, threads, rounds),
                "teacher": teacher(folder, workloads, threads, rounds),
            }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "benchmark.json").write_text(json.dumps(results, indent=1))
    report = "\n".join(markdown(results))
    (options.out / "benchmark.md").write_text(report)
    print(report)
    plot(results, options.out / "benchmark.png")


# -- workloads ---------------------------------------------------------------------------------------------


def make_model(folder: Path, layers: int) -> None:
    seeded_masked_lm(0, **DISTILROBERTA | {"num_hidden_layers": layers}).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(gzip.decompress(TOKENIZER.read_bytes()))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "RobertaTokenizer", "model_max_length": 512}')


def export(folder: Path) -> None:
    """Write whole.onnx, with the logits of all positions, and masks.onnx, with those at one position per text."""
    import torch
    import transformers

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = transformers.RobertaForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    class Masks(Whole):
        def forward(self, input_ids: Any, attention_mask: Any, positions: Any) -> Any:
            hidden_states = self.model.roberta(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            chosen = hidden_states.gather(1, positions[:, None, None].expand(-1, 1, hidden_states.shape[-1]))
            return self.model.lm_head(chosen[:, 0])

    ids = torch.randint(4, 1000, (2, 12))
    batch, sequence = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("sequence", min=3, max=512)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    axes = {"input_ids": {0: batch, 1: sequence}, "attention_mask": {0: batch, 1: sequence}}
    positions = {"positions": torch.tensor([3, 5])}
    for name, module, arguments, dynamic in (
        ("whole", Whole(), inputs, axes),
        ("masks", Masks(), inputs | positions, axes | {"positions": {0: batch}}),
    ):
        torch.onnx.export(
            module,
            (),
            str(folder / f"{name}.onnx"),
            kwargs=arguments,
            dynamic_shapes=dynamic,
            dynamo=True,
            verbose=False,
        )


def make_workloads(text: str, tokenizer: RobertaTokenizer) -> Workloads:
    """Texts with one mask each: single texts of several lengths, batches, and many real sentences."""
    rng = random.Random(0)
    sentences = split_sentences(text)
    rng.shuffle(sentences)
    running = tokenizer.encode(" ".join(sentences), add_special_tokens=False)
    workloads: Workloads = {}

    def add(name: str, texts: list[str]) -> None:
        lengths = [len(tokenizer.encode(text)) for text in texts]
        workloads[name] = {"texts": texts, "lengths": lengths, "batch_size": min(32, len(texts))}

    for length in LENGTHS:
        add(f"1 x {length}", exact(running, tokenizer, 1, length))
    for count, length in BATCHES:
        add(f"{count} x {length}", exact(running, tokenizer, count, length))
    for count in MANY:
        if f"{count} x 16" not in workloads:
            add(f"{count} x 16", exact(running, tokenizer, count, 16))
    add(f"{SENTENCES:,} sentences", mask_sentences(sentences, SENTENCES, rng))
    return workloads


def split_sentences(text: str) -> list[str]:
    paragraphs = [re.sub(r"\s+", " ", part).strip() for part in re.split(r"\n\s*\n", text) if part[:3] != "   "]
    sentences = [sentence for part in paragraphs for sentence in re.split(r"(?<=[.!?]) +(?=[A-Z])", part)]
    return list(dict.fromkeys(s for s in sentences if s[:1].isupper() and s[-1:] in ".!?" and 20 < len(s) < 1200))


def mask_sentences(sentences: list[str], count: int, rng: random.Random) -> list[str]:
    """As many sentences, repeated if need be, each with a mask for one of its words."""
    masked: list[str] = []
    while len(masked) < count:
        for sentence in sentences[: count - len(masked)]:
            words = sentence.split(" ")
            words[rng.randrange(len(words))] = "<mask>"
            masked.append(" ".join(words))
    return masked


def exact(running: list[int], tokenizer: RobertaTokenizer, count: int, length: int) -> list[str]:
    """Texts of exactly `length` tokens, including <s>, </s> and one mask."""
    texts: list[str] = []
    for start in range(0, len(running), length):
        passage = running[start : start + length - 3]
        middle = len(passage) // 2
        text = tokenizer.decode(passage[:middle]) + " <mask>" + tokenizer.decode(passage[middle:])
        ids = tokenizer.encode(text.strip())
        if len(ids) == length and ids.count(tokenizer.mask_token_id) == 1:
            texts.append(text.strip())
        if len(texts) == count:
            return texts
    raise SystemExit(f"the text is too short for {count} passages of {length} tokens")


def describe_lengths(lengths: list[int]) -> str:
    shares = np.percentile(lengths, [10, 50, 90]).astype(int).tolist()
    tenth, half, most = shares
    return f"{sum(lengths):,} tokens; a tenth of them up to {tenth}, half up to {half}, nine tenths up to {most}"


# -- measuring -------------------------------------------------------------------------------------------------------


def compare(folder: Path, workloads: Workloads, threads: int, rounds: int) -> dict[str, Any]:
    """All contenders in turn, on every workload."""
    seconds: Seconds = {}
    differences: dict[str, float] = {}
    with contenders(MODULE, {name: (name, folder) for name in CONTENDERS}, threads) as running:
        sentences = f"{SENTENCES:,} sentences"
        tried = {
            name: {
                size: running[name].run(workload=sentences, batch_size=size, texts=128)["seconds"]
                for size in BATCH_SIZES
            }
            for name in ("transformers", "onnx_whole", "onnx_masks")
        }
        best = {name: min(taken, key=taken.__getitem__) for name, taken in tried.items()}
        for workload in workloads:
            progress(f"{threads} threads, {workload}")
            many = workload == sentences
            answers = {}
            if not many:  # the first run, which is not timed
                answers = {name: running[name].run(workload=workload, answers=True)["answers"] for name in CONTENDERS}
            seconds[workload] = {name: [] for name in CONTENDERS}
            for _ in range(-(-rounds // 6) if many else rounds):
                for name, contender in running.items():
                    request = {"batch_size": best[name]} if many and name in best else {}
                    outcome = contender.run(workload=workload, answers=many and not seconds[workload][name], **request)
                    seconds[workload][name].append(outcome["seconds"])
                    if outcome["answers"] is not None:
                        answers[name] = outcome["answers"]
            differences[workload] = largest_difference(answers)
    return {"seconds": seconds, "batch_sizes": best, "differences": differences}


def largest_difference(answers: dict[str, Any]) -> float:
    """The largest difference of probabilities between contenders. Exits if they disagree."""
    largest = 0.0
    for name in MAKES_ANSWERS:
        for text, (theirs, ours) in enumerate(zip(answers[name], answers["ours"], strict=True)):
            for (token, score), (our_token, our_score) in zip(theirs, ours, strict=True):
                largest = max(largest, abs(score - our_score))
                # Of two equally likely tokens, either may come first.
                if abs(score - our_score) > TOLERANCE or (token != our_token and abs(score - our_score) > 1e-6):
                    raise SystemExit(f"text {text}: {name} answers {theirs}, and distilroberta_np {ours}")
    return largest


def teacher(folder: Path, workloads: Workloads, threads: int, rounds: int) -> Seconds:
    """The 12-layer model next to the 6-layer one, ours and transformers'."""
    chosen = ("1 x 16", "1 x 128", "8 x 128")
    seconds: Seconds = {workload: {} for workload in chosen}
    folders = {
        f"{name} {layers}": (name, folder / model)
        for layers, model in ((6, "student"), (12, "teacher"))
        for name in ("ours", "transformers")
    }
    with contenders(MODULE, folders, threads) as running:
        for workload in chosen:
            progress(f"{threads} threads, teacher and student, {workload}")
            for name, contender in running.items():
                contender.run(workload=workload)
                seconds[workload][name] = []
            for _ in range(rounds):
                for name, contender in running.items():
                    seconds[workload][name].append(contender.run(workload=workload)["seconds"])
    return seconds


def start(folder: Path, rounds: int = 5) -> dict[str, Any]:
    """The time from the start of a process to its first answer, its peak memory, and the import alone."""
    sentence = "The man worked as a <mask>."
    commands = {
        f"{package}, {what}": [sys.executable, "-c", code.format(package=package, folder=str(folder), text=sentence)]
        for package in ("distilroberta_np", "transformers")
        for what, code in (
            ("import", "from {package} import pipeline"),
            ("answer", "from {package} import pipeline; pipeline('fill-mask', {folder!r})({text!r})"),
        )
    }
    for command in commands.values():  # once each, so that all files are in the page cache
        measure_process(command)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            progress(f"start: {name}")
            taken[name].append(measure_process(command))
    return {
        name: {"seconds": [run[0] for run in runs], "peak_bytes": [run[1] for run in runs]}
        for name, runs in taken.items()
    }


def read_weights(folder: Path, rounds: int = 5) -> float:
    """Seconds to read the weights that one sentence needs, at the speed of memory (all cores)."""
    from distilroberta_np import RobertaForMaskedLM
    from distilroberta_np.layers.params import tree_leaves
    from distilroberta_np.runtime.threads import map_in_threads

    model = RobertaForMaskedLM.from_pretrained(folder)
    leaves = [np.array(leaf) for leaf in tree_leaves(model.weights) if leaf.ndim == 2 and len(leaf) > 514]
    halves = [half for leaf in leaves for half in np.array_split(leaf.view(np.int64), 2)]
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        map_in_threads(lambda thread: [np.bitwise_or.reduce(half, axis=None) for half in halves[thread::2]], range(2))
        taken.append(time.perf_counter() - began)
    return min(taken)


def installed_size(package: str) -> int:
    """Bytes of a package and its dependencies, as installed here; torch counts as one of transformers."""
    found: dict[str, int] = {}
    waiting = [package] if package != "transformers" else ["transformers", "torch"]
    while waiting:
        name = re.split(r"[^\w.-]", waiting.pop())[0].lower().replace("_", "-")
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system
        files = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
        found[name] = sum(file.stat().st_size for file in files if file.exists())
        if name == "distilroberta-np":
            found[name] = sum(file.stat().st_size for file in (PROJECT / "distilroberta_np").rglob("*.py"))
            found[name] += sum(file.stat().st_size for file in (PROJECT / "weights").rglob("*") if file.is_file())
        waiting += [required for required in distribution.requires or () if "extra ==" not in required]
    return sum(found.values())


def progress(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def make_embedded(folder: Path, workloads: Workloads) -> None:
    """The embedded model, with texts of the same number of tokens in its own vocabulary."""
    shutil.copytree(PROJECT / "weights" / "tiny", folder)
    tokenizer = RobertaTokenizer.from_folder(folder)
    text = " ".join(workloads[f"{SENTENCES:,} sentences"]["texts"]).replace("<mask>", "it")
    running = tokenizer.encode(text, add_special_tokens=False)
    own = {
        f"1 x {length}": {"texts": exact(running, tokenizer, 1, length), "lengths": [length], "batch_size": 1}
        for length in BUSY_LENGTHS
    }
    (folder / "workloads.json").write_text(json.dumps(own))
    export(folder)


def busy(folder: Path, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Single texts next to processes that occupy a core each, from one or several calling threads.

    This package also runs on one thread, for the better of the two and for the CPU time.
    """
    rows = []
    for model in ("embedded", "student"):
        names = {"ours": threads, "ours, 1 thread": 1}
        names |= dict.fromkeys(("transformers", "onnx_whole", "onnx_masks"), threads)
        with ExitStack() as stack:
            running = {
                label: Contender(MODULE, label.split(",")[0], folder / model, count) for label, count in names.items()
            }
            for contender in running.values():
                stack.callback(contender.process.kill)
            for (others, callers), length in product(BUSY, BUSY_LENGTHS):
                progress(f"{model}, {length} tokens, {others} busy processes, {callers} callers")
                row: dict[str, Any] = {"model": model, "tokens": length, "busy": others, "callers": callers}
                request = {"workload": f"1 x {length}", "callers": callers}
                with occupied(others):
                    for contender in running.values():  # not timed
                        contender.run(**request)
                    outcomes = [
                        {label: contender.run(**request) for label, contender in running.items()} for _ in range(rounds)
                    ]
                for measure in ("seconds", "cpu"):
                    row[measure] = {
                        label: statistics.median(outcome[label][measure] for outcome in outcomes) / callers
                        for label in running
                    }
                rows.append(row)
    return rows


@contextmanager
def occupied(count: int) -> Iterator[None]:
    """Some processes that occupy a core each."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def write_busy(rows: list[dict[str, Any]], folder: Path) -> None:
    """Write busy.json and busy.md."""
    labels = list(rows[0]["seconds"])
    lines = [
        f"On {describe_machine('torch', 'transformers', 'onnxruntime')}. Medians.",
        "Milliseconds per text, with CPU milliseconds in brackets.\n",
        "| model | tokens | busy processes | calling threads | " + " | ".join(labels) + " |",
        "| --- |" + " ---: |" * (len(labels) + 3),
    ]
    for row in rows:
        cells = [f"{row['seconds'][label] * 1e3:.1f} ({row['cpu'][label] * 1e3:.1f})" for label in labels]
        lines.append(f"| {row['model']} | {row['tokens']} | {row['busy']} | {row['callers']} | {' | '.join(cells)} |")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "busy.json").write_text(json.dumps(rows, indent=1))
    report = "\n".join(lines)
    (folder / "busy.md").write_text(report + "\n")
    print(report)


# -- reporting -------------------------------------------------------------------------------------------------------


def markdown(results: dict[str, Any]) -> Iterator[str]:
    yield f"On {results['machine']}. Medians; smallest and largest in brackets."
    for threads, outcome in results["threads"].items():
        seconds: Seconds = outcome["student"]["seconds"]
        yield f"\n## {threads} thread{'s' if int(threads) > 1 else ''}\n\nMilliseconds.\n"
        yield "| texts x tokens | " + " | ".join(CONTENDERS.values()) + " |"
        yield "| --- |" + " ---: |" * len(CONTENDERS)
        for workload, taken in seconds.items():
            yield f"| {workload} | " + " | ".join(spread(taken[name]) for name in CONTENDERS) + " |"
        yield "\nTime relative to distilroberta_np; for the products, its time relative to theirs.\n"
        yield "| texts x tokens | " + " | ".join(list(CONTENDERS.values())[1:]) + " |"
        yield "| --- |" + " ---: |" * (len(CONTENDERS) - 1)
        for workload, taken in seconds.items():
            ours = statistics.median(taken["ours"])
            ratios = [statistics.median(taken[name]) / ours for name in list(CONTENDERS)[1:]]
            ratios[-1] = 1 / ratios[-1]
            yield f"| {workload} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |"
        sizes = ", ".join(f"{CONTENDERS[name]} {size}" for name, size in outcome["student"]["batch_sizes"].items())
        yield f"\nBatch sizes for the sentences, each contender's best: {sizes}. "
        difference = max(outcome["student"]["differences"].values())
        yield f"Largest difference between two answers' probabilities: {difference:.1e}.\n"
        yield "| texts x tokens | ours, 12 layers / 6 layers | transformers, 12 / 6 |\n| --- | ---: | ---: |"
        for workload, taken in outcome["teacher"].items():
            ratios = [
                statistics.median(taken[f"{name} 12"]) / statistics.median(taken[f"{name} 6"])
                for name in ("ours", "transformers")
            ]
            yield f"| {workload} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |"
    yield f"\nThe sentences are of {results['source']}: {results['sentences']}."
    yield f"Reading once the weights that one sentence needs: {results['weights_read_seconds'] * 1e3:.1f} ms.\n"
    yield "| | seconds | peak memory | of the weights file |\n| --- | ---: | ---: | ---: |"
    for name, taken in results["start"].items():
        memory = statistics.median(taken["peak_bytes"])
        share = f"{memory / results['weights_bytes']:.2f}" if name.endswith("answer") else ""
        low, middle, high = min(taken["seconds"]), statistics.median(taken["seconds"]), max(taken["seconds"])
        yield f"| {name} | {middle:.2f} ({low:.2f}-{high:.2f}) | {memory / 1e6:.0f} MB | {share} |"
    yield "\n| | installed, with dependencies |\n| --- | ---: |"
    for name, size in results["installed_bytes"].items():
        yield f"| {name} | {size / 1e6:,.0f} MB |"


def spread(seconds: list[float]) -> str:
    low, middle, high = (
        f"{value * 1e3:.3g}" if value < 1 else f"{value * 1e3:,.0f}"
        for value in (min(seconds), statistics.median(seconds), max(seconds))
    )
    return f"{middle} ({low}-{high})"


def plot(results: dict[str, Any], path: Path) -> None:
    """Plot time against the length and the number of texts, for the largest number of threads."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    threads = max(results["threads"], key=int)
    seconds: Seconds = results["threads"][threads]["student"]["seconds"]
    figure, (lengths, numbers, ratios) = pyplot.subplots(1, 3, figsize=(16, 5), layout="constrained")
    panels: list[tuple[Any, str, list[tuple[int, str]]]] = [
        (lengths, "tokens of one text", [(length, f"1 x {length}") for length in LENGTHS]),
        (numbers, "texts of 16 tokens", [(count, f"{count} x 16") for count in MANY]),
    ]
    styles = dict(zip(CONTENDERS, ("o-", "s-", "^-", "v-", ":"), strict=True))
    for axes, label, points in panels:
        for name, title in CONTENDERS.items():
            medians = [statistics.median(seconds[workload][name]) * 1e3 for _, workload in points]
            axes.loglog(
                [x for x, _ in points], medians, styles[name], label=title, color="gray" if name == "products" else None
            )
        axes.set_xlabel(label)
        axes.set_ylabel("milliseconds")
        axes.set_xticks([x for x, _ in points], [str(x) for x, _ in points])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    lengths.legend(fontsize=8)
    shown = [f"1 x {length}" for length in LENGTHS] + [f"{b} x {s}" for b, s in BATCHES] + [f"{SENTENCES:,} sentences"]
    rivals = MAKES_ANSWERS[1:]
    for offset, name in enumerate(rivals):
        heights = [statistics.median(seconds[w][name]) / statistics.median(seconds[w]["ours"]) for w in shown]
        ratios.bar(
            np.arange(len(shown)) + (offset - 1) * 0.27, heights, 0.25, label=CONTENDERS[name], color=f"C{offset + 1}"
        )
    ratios.axhline(1, color="C0")
    ratios.set_xticks(range(len(shown)), shown, rotation=40, ha="right", fontsize=8)
    ratios.set_ylabel("time relative to distilroberta_np")
    ratios.legend(fontsize=8)
    figure.suptitle(f"Filling masks, {threads} threads: {results['machine']}", fontsize=9)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
