"""How fast the server answers, next to a FastAPI server of transformers and to the pipeline called directly.

    python -m scripts.benchmarks.server [--clients 1 8 32 128] [--seconds 20] [--rounds 3] [--minute 60] [--out FOLDER]

Needs the `serve` and `parity` extras, FastAPI, and wrk (Debian's package), which keeps each of its connections busy
with real sentences, one mask each (closed loop, loopback). The model has distilroberta-base's shape and random
weights. Contenders take turns. Afterwards ours is overloaded for a minute, and its memory is watched.
Writes server.json and server.md to the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import pydoc_data.topics
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distilroberta_np.hub import find_embedded
from scripts.benchmarks.benchmark import SENTENCES, make_model, mask_sentences, split_sentences
from scripts.benchmarks.contender import RESULTS
from scripts.machine import describe_machine

PORT = 8977
URL = f"http://127.0.0.1:{PORT}"
LOAD = Path(__file__).with_name("load.lua")
TICKS = os.sysconf("SC_CLK_TCK")
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--seconds", type=int, default=20, help="of load for each contender, clients and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minute", type=int, default=60, help="seconds of overload")
    parser.add_argument("--memory-requests", type=int, default=100_000, help="requests for the measurement of memory")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder / "model", layers=6)
        bodies = write_bodies(folder)
        ours = [sys.executable, "-m", "distilroberta_np", "serve", "--model", str(folder / "model"), "--no-access-log"]
        fastapi = [sys.executable, "-m", "uvicorn", "scripts.benchmarks.fastapi_server:app", "--log-level", "warning"]
        os.environ["MODEL"] = str(folder / "model")
        commands = {"distilroberta_np": ours, "FastAPI + transformers": fastapi}
        rows: dict[str, dict[int, list[Row]]] = {name: {count: [] for count in options.clients} for name in commands}
        direct = []
        for _ in range(options.rounds):
            direct.append(call_directly(folder / "model", bodies))
            for name, command in commands.items():
                with running(command) as process:
                    for count in options.clients:
                        rows[name][count].append(load(process, bodies, count, options.seconds))
        results = {
            "machine": describe_machine("transformers", "torch"),
            "direct": statistics.median(direct),
            "load": {
                name: {count: medians(values) for count, values in by_clients.items()}
                for name, by_clients in rows.items()
            },
            "overload": overload(ours, bodies, options.minute),
            "memory": memory(bodies, options.memory_requests),
        }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "server.json").write_text(json.dumps(results, indent=1) + "\n")
    report = markdown(results)
    (options.out / "server.md").write_text(report)
    print(report)


def write_bodies(folder: Path) -> Path:
    """2,000 sentences with a mask, one request body per line."""
    rng, sentences = random.Random(0), split_sentences("\n\n".join(pydoc_data.topics.topics.values()))
    rng.shuffle(sentences)
    path = folder / "bodies.jsonl"
    masked = mask_sentences(sentences, SENTENCES, rng)
    path.write_text("".join(json.dumps({"inputs": sentence}) + "\n" for sentence in masked))
    return path


def call_directly(model: Path, bodies: Path) -> float:
    """Texts per second of the pipeline on a list, in a process of its own."""
    code = (
        "import json, sys, time\n"
        "from distilroberta_np import pipeline\n"
        "unmasker = pipeline('fill-mask', sys.argv[1])\n"
        "texts = [json.loads(line)['inputs'] for line in open(sys.argv[2])]\n"
        "unmasker(texts[:64])\n"
        "started = time.perf_counter()\n"
        "unmasker(texts)\n"
        "print(len(texts) / (time.perf_counter() - started))\n"
    )
    return float(subprocess.check_output([sys.executable, "-c", code, str(model), str(bodies)]))


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it answers."""
    process = subprocess.Popen([*command, "--port", str(PORT)], stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"{URL}/health", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command} ended with {process.returncode}") from None
                time.sleep(0.2)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def load(process: subprocess.Popen[bytes], bodies: Path, clients: int, seconds: int) -> Row:
    """Keep so many clients busy, and return what they saw, with the server's CPU seconds per request."""
    before = cpu_seconds(process)
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "120s", "-s", str(LOAD), URL, "--", bodies]
    row: Row = json.loads(subprocess.check_output(list(map(str, command)), text=True).splitlines()[-1])
    answered = row["requests"] - row["not_2xx"]
    row["per_second"] = answered / row["seconds"]
    row["cpu_ms"] = 1000 * (cpu_seconds(process) - before) / max(1, answered)
    return row


def medians(rows: list[Row]) -> Row:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def overload(command: list[str], bodies: Path, seconds: int) -> Row:
    """1,280 clients for a minute against a short queue; then how long a single request takes."""
    with running([*command, "--max-waiting-tokens", "8192"]) as process:
        single = min(ask() for _ in range(5))
        row = load(process, bodies, 1280, seconds)
        row["single_ms_before"] = single
        row["first_ms_after"], row["second_ms_after"] = ask(), ask()
        return row


def ask() -> float:
    """Milliseconds of one request."""
    body = json.dumps({"inputs": "The man worked as a <mask>."}).encode()
    request = urllib.request.Request(URL, body, {"content-type": "application/json"})
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as response:
        response.read()
    return 1000 * (time.perf_counter() - started)


def memory(bodies: Path, requests: int) -> Row:
    """Resident memory on the way to so many requests, with the embedded model, which answers them in minutes."""
    command = [sys.executable, "-m", "distilroberta_np", "serve", "--no-access-log", "--model", str(find_embedded())]
    with running([*command, "--max-batch-tokens", "2048"]) as process:
        served, seen = 0, []
        while served < requests:
            served += int(load(process, bodies, 32, 20)["requests"])
            seen.append((served, resident_bytes(process)))
        return {"after": seen}


def markdown(results: dict[str, Any]) -> str:
    lines = [
        f"On {results['machine']}. The pipeline called directly on 2,000 sentences: {results['direct']:.1f} texts per "
        "second.",
        "",
        "| server | clients | requests per second | median, ms | 99th percentile, ms | CPU ms per request | failed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, by_clients in results["load"].items():
        for count, row in by_clients.items():
            lines.append(
                f"| {name} | {count} | {row['per_second']:.1f} | {row['p50_ms']:.0f} | {row['p99_ms']:.0f} | "
                f"{row['cpu_ms']:.0f} | {row['not_2xx'] + row['broken']:.0f} |"
            )
    row, seen = results["overload"], results["memory"]["after"]
    lines += [
        "",
        f"Overload, 1,280 clients for {row['seconds']:.0f} s: {row['per_second']:.1f} answers per second, "
        f"{row['not_2xx']} requests got 429, {row['broken']} broke. A single request took "
        f"{row['single_ms_before']:.0f} ms before and {row['first_ms_after']:.0f} ms right after.",
        "",
        "Resident memory, with the embedded model: "
        + "; ".join(f"{size / 1e6:.0f} MB after {count:,} requests" for count, size in seen)
        + ".",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
