"""How fast and how large corpus jobs are: rows per second and peak memory of `distilroberta-np map encode`.

    python -m scripts.benchmarks.corpus --input FILE... [--rows 100000] [--runs RUN...] [--model FOLDER] [--out FOLDER]

Needs Linux, and the `parity` and `corpus` extras. The inputs are text files (.txt or .txt.gz); their sentences are
written to eight Parquet files. Each run is a job of its own: one process with one or two threads, two processes with
one thread each, and sentence-transformers on the torch of transformers, in the engine of our jobs. "direct" is
`SentenceEncoder.encode` on a list. Memory is the sum of the processes' proportional set sizes, in which shared pages
count once.

The model is the embedded one, or of distilroberta-base's shape with random weights (`--full-size`). Results are added
to those of earlier runs in corpus.json and corpus.md.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distilroberta_np.corpus.columns import Task
from distilroberta_np.corpus.job import Part, map_in_processes
from distilroberta_np.corpus.tables import NewColumns, map_part
from distilroberta_np.hub import find_embedded
from distilroberta_np.training.data.text import read_paragraphs
from scripts.benchmarks.benchmark import make_model, split_sentences
from scripts.benchmarks.contender import RESULTS
from scripts.machine import describe_machine

PARTS = 8
FEW = 64  # rows of a run that measures the start
ROWS_ON_PAPER = 100_000_000
# Titles, processes, and threads of each.
RUNS = {
    "1x1": ("1 process, 1 thread", 1, 1),
    "1x2": ("1 process, 2 threads", 1, 2),
    "2x1": ("2 processes, 1 thread each", 2, 1),
    "transformers_1x2": ("sentence-transformers, 1 process, 2 threads", 1, 2),
    "transformers_2x1": ("sentence-transformers, 2 processes, 1 thread each", 2, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, nargs="+", required=True, metavar="FILE", help=".txt or .txt.gz")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", nargs="+", choices=["direct", *RUNS], default=["direct", *RUNS], metavar="RUN")
    parser.add_argument("--full-size", action="store_true", help="a model of distilroberta-base's shape")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--contender", nargs=2, metavar=("PROCESSES", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contend(int(options.contender[0]), options.contender[1], options.input, options.out)
        return
    path = options.out / "corpus.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = describe_machine("transformers", "sentence-transformers", "torch")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, key = find_embedded(), "embedded"
        if options.full_size:
            model, key = folder / "model", "full_size"
            make_model(model, layers=6)
        sentences = read_sentences(options.input, options.rows)
        for run in options.runs:
            row = direct(model, sentences) if run == "direct" else measure(run, model, sentences, folder)
            results.setdefault(key, {})[run] = {"rows": len(sentences)} | row
            print(key, run, results[key][run], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    report = markdown(results)
    (options.out / "corpus.md").write_text(report)
    print(report)


def read_sentences(files: list[Path], count: int) -> list[str]:
    """The first sentences of the files."""
    found = (sentence for paragraph in read_paragraphs(files) for sentence in split_sentences(paragraph))
    sentences = list(itertools.islice(found, count))
    if len(sentences) < count:
        raise SystemExit(f"the input has only {len(sentences)} sentences")
    return sentences


def direct(model: Path, sentences: list[str]) -> dict[str, float]:
    """`SentenceEncoder.encode` on a list, in a process of its own."""
    code = (
        "import json, sys, time\n"
        "from distilroberta_np import SentenceEncoder\n"
        "encoder, sentences = SentenceEncoder(sys.argv[1]), json.load(sys.stdin)\n"
        "encoder.encode(sentences[:64])\n"
        "started = time.perf_counter()\n"
        "encoder.encode(sentences)\n"
        "print(time.perf_counter() - started)\n"
    )
    seconds = subprocess.check_output(
        [sys.executable, "-W", "ignore", "-c", code, str(model)], input=json.dumps(sentences), text=True
    )
    return {"per_second": len(sentences) / float(seconds)}


def measure(run: str, model: Path, sentences: list[str], folder: Path) -> dict[str, float]:
    """Rows per second, without the seconds that a job of a few rows takes, and peak memory."""
    start, _ = job(run, model, sentences[:FEW], folder / f"{run}-few")
    seconds, memory = job(run, model, sentences, folder / run)
    rows = len(sentences) - FEW
    return {"per_second": rows / (seconds - start), "start_seconds": start, "peak_bytes": memory}


def job(run: str, model: Path, sentences: list[str], folder: Path) -> tuple[float, int]:
    """Seconds and peak memory of a job."""
    _, processes, threads = RUNS[run]
    sources = write_parts(sentences, folder / "in")
    command = [sys.executable, "-W", "ignore", "-m"]
    if run.startswith("transformers"):
        command += ["scripts.benchmarks.corpus", "--contender", str(processes), str(model), "--out", str(folder)]
    else:
        command += ["distilroberta_np", "map", "encode", "--model", str(model), "--output", str(folder / "out")]
        command += ["--workers", str(processes)]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(
        [*command, "--input", *map(str, sources)],
        env=os.environ | limits | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(proportional_bytes, descendants(process.pid))))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - started, peak


def write_parts(sentences: list[str], folder: Path) -> list[Path]:
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True)
    size = -(-len(sentences) // PARTS)
    paths = [folder / f"part-{number}.parquet" for number in range(PARTS)]
    for number, path in enumerate(paths):
        rows = sentences[number * size : (number + 1) * size]
        pyarrow.parquet.write_table(pyarrow.table({"text": rows}), path)
    return paths


def descendants(pid: int) -> list[int]:
    """A process and those that it has started."""
    found = [pid]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, thread.read_text().split())
            except OSError:  # the process has ended
                continue
    return found


def proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # the process has ended
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


# -- sentence-transformers in the engine of our jobs -----------------------------------------------------------------


def contend(processes: int, model: str, sources: list[Path], folder: Path) -> None:
    (folder / "out").mkdir()
    list(map_in_processes(processes, functools.partial(compute_part, model, folder / "out"), sources))


def compute_part(model: str, folder: Path, source: Path) -> Part:
    task = Task("encode", model, ("text",))
    with open(folder / source.name, "xb") as file:
        new = NewColumns(task.inputs, task.outputs, functools.partial(encode, model))
        rows, errors = map_part(source, file, new)
    return Part(source.name, "", rows, errors)


def encode(model: str, rows: list[list[Any]]) -> dict[str, list[Any]]:
    embeddings = _transformer(model).encode([row[0] for row in rows], batch_size=32, show_progress_bar=False)
    return {"embedding": list(embeddings), "error": [None] * len(rows)}


@functools.cache
def _transformer(model: str) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return SentenceTransformer(model, device="cpu", model_kwargs={"dtype": torch.float32})


# -- the report ------------------------------------------------------------------------------------------------------


def markdown(results: dict[str, Any]) -> str:
    lines = [f"On {results['machine']}. The embeddings of sentences, from Parquet to Parquet.", ""]
    for key, title in (
        ("embedded", "The embedded model (hidden size 256, half precision)"),
        ("full_size", "distilroberta-base's shape (hidden size 768, float32)"),
    ):
        if key not in results:
            continue
        lines += [
            f"{title}:",
            "",
            "| | rows | rows per second | peak memory, MB | start, s | hours for 100 million rows |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for run, run_title in {"direct": "`encode` on a list", **{name: RUNS[name][0] for name in RUNS}}.items():
            if (row := results[key].get(run)) is None:
                continue
            hours = ROWS_ON_PAPER / row["per_second"] / 3600
            memory, start = row.get("peak_bytes"), row.get("start_seconds")
            lines.append(
                f"| {run_title} | {row['rows']:,} | {row['per_second']:.1f} | {memory / 1e6:.0f} | {start:.1f} | "
                f"{hours:,.0f} |"
                if memory
                else f"| {run_title} | {row['rows']:,} | {row['per_second']:.1f} | | | {hours:,.0f} |"
            )
        best = max(results[key][run]["per_second"] for run in results[key] if run in ("1x2", "2x1"))
        size = {"embedded": 256, "full_size": 768}[key]
        machines = -(-ROWS_ON_PAPER // round(best * 24 * 3600))
        lines += [
            "",
            f"100 million rows take {ROWS_ON_PAPER / best / 3600:,.0f} hours of one such machine, or a day on "
            f"{machines} of them. Their embeddings take {ROWS_ON_PAPER * size * 4 / 1e9:,.0f} GB in float32.",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
