"""From the start of a process to its first answer: time and peak memory, beside transformers. Prints Markdown.

    python scripts/startup_report.py [--runs 5]

Both answer the same sentence with the same full-size checkpoint (distilroberta-base's shape, random weights), in
processes of their own, in turn. Needs the `parity` extra; works where os.wait4 does (Linux, macOS).
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import transformers
from machine import describe_machine
from seeded import DISTILROBERTA, seeded_masked_lm

TOKENIZER = Path(__file__).parents[1] / "tests" / "data" / "roberta_tokenizer" / "tokenizer.json.gz"
ANSWER = "from {package} import pipeline; print(pipeline('fill-mask', model={folder!r})('The man was a <mask>.')[0])"


# A process of its own starts and measures the command: a child counts what the process it was forked from held.
LAUNCHER = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - began, usage.ru_maxrss, status)
"""


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds, and the largest resident memory in MB, of one run."""
    launched = subprocess.run([sys.executable, "-c", LAUNCHER, *command], capture_output=True, text=True, check=True)
    seconds, memory, status = map(float, launched.stdout.split())
    if status:
        raise SystemExit(f"{command} failed")
    # Linux counts in KiB, macOS in bytes.
    return seconds, memory / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        transformers.logging.disable_progress_bar()
        seeded_masked_lm(0, **DISTILROBERTA).save_pretrained(folder)
        (Path(folder) / "tokenizer.json").write_bytes(gzip.decompress(TOKENIZER.read_bytes()))
        (Path(folder) / "tokenizer_config.json").write_text('{"tokenizer_class": "RobertaTokenizer"}')
        size = (Path(folder) / "model.safetensors").stat().st_size / 1e6
        packages = ["distilroberta_np", "transformers"]
        commands = {
            package: [sys.executable, "-c", ANSWER.format(package=package, folder=folder)] for package in packages
        }
        for command in commands.values():  # once each, so that all files are in the page cache
            measure(command)
        taken: dict[str, list[tuple[float, float]]] = {package: [] for package in packages}
        for _ in range(runs):
            for package, command in commands.items():
                taken[package].append(measure(command))
    print(f"{describe_machine()}; median of {runs} runs in turn (range); weights file {size:.0f} MB\n")
    print("| | start to first answer | peak memory | of the weights file |")
    print("| --- | ---: | ---: | ---: |")
    for package in packages:
        seconds, memory = ([run[figure] for run in taken[package]] for figure in (0, 1))
        print(
            f"| {package} | {statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f}) "
            f"| {statistics.median(memory):.0f} MB | {statistics.median(memory) / size:.2f} |"
        )


if __name__ == "__main__":
    main()
