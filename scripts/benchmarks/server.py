"""How fast the server answers, next to a FastAPI server of transformers and to the pipeline called directly.

    python -m scripts.benchmarks.server [--parts load overload memory] [--seconds 20] [--rounds 2] [--out FOLDER]

Needs the `serve` and `parity` extras, FastAPI, and wrk (Debian's package), which keeps each of its connections busy
with real sentences, one mask each (closed loop, loopback). The model has distilroberta-base's shape and random weights.

- load: 1 to 128 clients; contenders take turns with the pipeline, which gets the same sentences in a list.
- embeddings: the same clients ask for embeddings, of ours and of Infinity, if its command is given.
- direct: the pipeline alone, for the rows of load.
- overload: ten times as many requests per second as the server can answer, sent without waiting for answers. Each
  answer is compared with that of the pipeline.
- memory: resident memory on the way to 100,000 requests, with the embedded model.

Each part takes a few minutes, and replaces its own results in server.json and server.md.
"""

from __future__ import annotations

import argparse
import asyncio
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
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from distilroberta_np import pipeline
from distilroberta_np.hub import find_embedded
from scripts.benchmarks.benchmark import SENTENCES, make_model, mask_sentences, split_sentences
from scripts.benchmarks.contender import RESULTS
from scripts.machine import describe_machine

PORT = 8977
URL = f"http://127.0.0.1:{PORT}"
LOAD = Path(__file__).with_name("load.lua")
OURS = "distilroberta_np"
TICKS = os.sysconf("SC_CLK_TCK")
# The queue of the server during the overload: about half a second of work on two cores.
SHORT_QUEUE = ("--max-batch-tokens", "1024", "--max-waiting-tokens", "1024")
PROBE = json.dumps({"inputs": "The man worked as a <mask>."}).encode()
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["load", "overload", "memory"], help="what to measure")
    parser.add_argument("--infinity", metavar="COMMAND", help="also measure Infinity (infinity_emb) in embeddings")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--seconds", type=int, default=20, help="of load for each contender, clients and round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minute", type=int, default=60, help="seconds of overload")
    parser.add_argument("--memory-requests", type=int, default=100_000, help="requests for the measurement of memory")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    path = options.out / "server.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = describe_machine("transformers", "torch")
    with tempfile.TemporaryDirectory() as name:
        model, bodies, inputs = (Path(name) / file for file in ("model", "bodies.jsonl", "inputs.jsonl"))
        write_bodies(bodies, "inputs")
        write_bodies(inputs, "input")
        if options.parts != ["memory"]:
            make_model(model, layers=6)
        load_options = options.clients, options.seconds, options.rounds
        if "load" in options.parts:
            fastapi = f"{sys.executable} -m uvicorn scripts.benchmarks.fastapi_server:app --log-level warning".split()
            servers = {OURS: Server(serve(model), "/", bodies), "FastAPI + transformers": Server(fastapi, "/", bodies)}
            results["load"] = compare(servers, model, *load_options)
        if "direct" in options.parts:
            results["load"]["direct"] = {"": call_directly("fill-mask", model, bodies)}
        if "embeddings" in options.parts:
            servers = {OURS: Server(serve(model), "/v1/embeddings", inputs)}
            if options.infinity:
                servers["Infinity"] = Server(infinity(options.infinity, model), "/embeddings", inputs)
            results["embeddings"] = compare(servers, model, *load_options)
        if "overload" in options.parts:
            results["overload"] = overload(model, bodies, options.minute)
        if "memory" in options.parts:
            results["memory"] = memory(bodies, options.memory_requests)
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    report = markdown(results)
    (options.out / "server.md").write_text(report)
    print(report)


def write_bodies(path: Path, key: str) -> None:
    """2,000 sentences with a mask, one request body per line."""
    rng, sentences = random.Random(0), split_sentences("\n\n".join(pydoc_data.topics.topics.values()))
    rng.shuffle(sentences)
    masked = mask_sentences(sentences, SENTENCES, rng)
    path.write_text("".join(json.dumps({key: sentence, "model": "model"}) + "\n" for sentence in masked))


# -- servers ---------------------------------------------------------------------------------------------------------


class Server(NamedTuple):
    """How to start a server, and what to send it."""

    command: list[str]
    path: str
    bodies: Path


def infinity(command: str, model: Path) -> list[str]:
    options = f"--model-id {model} --served-model-name model --engine torch --device cpu --no-bettertransformer"
    return [command, "v2", *options.split(), "--host", "127.0.0.1", "--log-level", "warning"]


def serve(model: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "distilroberta_np", "serve", "--no-access-log", "--model", str(model), *options]


@contextmanager
def running(command: list[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it answers."""
    process = subprocess.Popen(
        [*command, "--port", str(PORT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment, "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
    )
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


# -- load ------------------------------------------------------------------------------------------------------------


def compare(
    servers: dict[str, Server], model: Path, clients: list[int], seconds: int, rounds: int
) -> dict[str, dict[str, Row]]:
    """The medians of each server under the load of each number of clients, and of our pipeline called directly."""
    task = "fill-mask" if servers[OURS].path == "/" else "encode"
    direct: list[Row] = []
    rows: dict[str, dict[int, list[Row]]] = {name: {count: [] for count in clients} for name in servers}
    for _ in range(rounds):
        direct.append(call_directly(task, model, servers[OURS].bodies))
        for name, server in servers.items():
            with running(server.command, MODEL=str(model)) as process:
                load(process, server, 8, 1)
                for count in clients:
                    rows[name][count].append(load(process, server, count, seconds))
    return {"direct": {"": medians(direct)}} | {
        name: {str(count): medians(found) for count, found in by_clients.items()} for name, by_clients in rows.items()
    }


def call_directly(task: str, model: Path, bodies: Path) -> Row:
    """A pipeline on a list, and on one text after another, in a process of its own."""
    code = (
        "import json, sys, time\n"
        "from distilroberta_np import SentenceEncoder, pipeline\n"
        "task, model, bodies = sys.argv[1:]\n"
        "answer = SentenceEncoder(model).encode if task == 'encode' else pipeline(task, model)\n"
        "texts = [next(iter(json.loads(line).values())) for line in open(bodies)]\n"
        "def timed(inputs):\n"
        "    started, used = time.perf_counter(), time.process_time()\n"
        "    answer(inputs)\n"
        "    return time.perf_counter() - started, time.process_time() - used\n"
        "timed(texts[:64])\n"
        "singles = sorted(timed(text) for text in texts[:200])\n"
        "seconds, used = timed(texts)\n"
        "lists = sum(timed(texts[start : start + 32])[0] for start in range(0, 960, 32))\n"
        "print(json.dumps({'per_second': len(texts) / seconds, 'cpu_ms': 1000 * used / len(texts),\n"
        "    'per_second_32': 960 / lists,\n"
        "    'single_p50_ms': 1000 * singles[100][0], 'single_p99_ms': 1000 * singles[198][0],\n"
        "    'single_cpu_ms': 1000 * sum(used for _, used in singles) / 200}))\n"
    )
    row: Row = json.loads(subprocess.check_output([sys.executable, "-c", code, task, str(model), str(bodies)]))
    return row


def load(process: subprocess.Popen[bytes], server: Server, clients: int, seconds: int) -> Row:
    """Keep this many clients busy, and return what they saw, with the server's CPU time per request."""
    before = cpu_seconds(process)
    command = f"wrk -t1 -c{clients} -d{seconds}s --timeout 120s -s {LOAD} {URL}{server.path} -- {server.bodies}"
    row: Row = json.loads(subprocess.check_output(command.split(), text=True).splitlines()[-1])
    answered = row["requests"] - row["not_2xx"]
    row["per_second"] = answered / row["seconds"]
    row["cpu_ms"] = 1000 * (cpu_seconds(process) - before) / max(1, answered)
    return row


def medians(rows: list[Row]) -> Row:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


# -- overload --------------------------------------------------------------------------------------------------------


class OpenLoop:
    """Sends requests at a steady rate, whether or not earlier ones are answered, over as many connections as needed.

    Attributes:
        periods: for the second in which each period of five begins, how many of its requests were answered rightly
            ("answered"), got 429 ("refused"), were answered wrongly ("wrong"), or not at all ("lost").
        waits: for each period, the milliseconds of the requests that were answered.
    """

    def __init__(self, bodies: list[bytes], expected: list[Any]) -> None:
        self.bodies, self.expected = bodies, expected
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []
        self.periods: dict[int, Counter[str]] = defaultdict(Counter)
        self.waits: dict[int, list[float]] = defaultdict(list)

    async def send(self, rate: float, seconds: float) -> None:
        """Send for some seconds, and wait for all answers."""
        began, running = time.perf_counter(), set()
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0, began + number / rate - time.perf_counter()))
            task = asyncio.create_task(self._one(number % len(self.bodies), 5 * int((time.perf_counter() - began) / 5)))
            running.add(task)
            task.add_done_callback(running.discard)
        self.ended = time.perf_counter()
        await asyncio.gather(*running)

    async def _one(self, index: int, second: int) -> None:
        started = time.perf_counter()
        try:
            status, answer = await self.post(self.bodies[index])
        except (OSError, EOFError):
            self.periods[second]["lost"] += 1
            return
        if status == 429:
            self.periods[second]["refused"] += 1
        elif status == 200 and same(json.loads(answer), self.expected[index]):
            self.periods[second]["answered"] += 1
            self.waits[second].append(1000 * (time.perf_counter() - started))
        else:
            self.periods[second]["wrong"] += 1

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Send one request on an idle connection, or on a new one."""
        reader, writer, used = self.idle.pop() if self.idle else (None, None, 0.0)
        # The server closes a connection that is idle for 30 seconds.
        if reader is None or writer is None or time.perf_counter() > used + 20:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        answer = await reader.readexactly(length)
        self.idle.append((reader, writer, time.perf_counter()))
        return int(lines[0].split()[1]), answer

    async def probe(self, seconds: float) -> list[tuple[float, int, float]]:
        """Single requests, one after another: when each ended (perf_counter), its status, and its milliseconds."""
        probes, began = [], time.perf_counter()
        while (started := time.perf_counter()) < began + seconds:
            status, _ = await self.post(PROBE)
            probes.append((time.perf_counter(), status, 1000 * (time.perf_counter() - started)))
            await asyncio.sleep(0.01)
        return probes


def same(answer: Any, expected: Any) -> bool:
    """Whether predictions agree. Rounding depends on the batch, so those with nearly equal scores may swap."""
    return all(
        abs(row["score"] - other["score"]) < 1e-5 and set(row) == set(other)
        for row, other in zip(answer, expected, strict=True)
    )


def overload(model: Path, bodies: Path, seconds: int) -> Row:
    lines = bodies.read_bytes().splitlines()
    expected = pipeline("fill-mask", model)([json.loads(line)["inputs"] for line in lines])
    server = Server(serve(model, *SHORT_QUEUE), "/", bodies)
    with running(server.command) as process:
        capacity = load(process, server, 32, 10)["per_second"]

        async def run() -> Row:
            loop = OpenLoop(lines, expected)
            before = statistics.median(wait for _, _, wait in await loop.probe(3))
            sending = asyncio.create_task(loop.send(10 * capacity, seconds))
            await asyncio.sleep(seconds)
            while not hasattr(loop, "ended"):
                await asyncio.sleep(0.01)
            probes = await loop.probe(5)
            await sending
            slow = [ended - loop.ended for ended, status, wait in probes if status != 200 or wait > 2 * before]
            curve = [
                {"second": second, **counts, "p50_ms": statistics.median(loop.waits[second] or [0])}
                for second, counts in sorted(loop.periods.items())
            ]
            return {
                "capacity": capacity,
                "seconds": seconds,
                "single_ms_before": before,
                "curve": curve,
                "single_ms_after": statistics.median(wait for _, _, wait in probes[-20:]),
                "recovered_seconds": max(slow, default=0.0),
                "total": dict(sum(loop.periods.values(), Counter())),
            }

        return asyncio.run(run())


# -- memory ----------------------------------------------------------------------------------------------------------


def memory(bodies: Path, requests: int) -> Row:
    """Resident memory on the way to this many requests, with the embedded model, which answers them in minutes."""
    server = Server(serve(find_embedded()), "/", bodies)
    with running(server.command) as process:
        served, seen = 0, []
        while served < requests:
            row = load(process, server, 32, 10)
            served += int(row["requests"])
            seen.append((served, resident_bytes(process)))
        return {"after": seen, "per_second": row["per_second"], "cpu_ms": row["cpu_ms"]}


# -- the report ------------------------------------------------------------------------------------------------------


def markdown(results: dict[str, Any]) -> str:
    lines = [f"On {results['machine']}.", ""]
    for part, title in (("load", "Filling masks"), ("embeddings", "Embeddings")):
        if part in results:
            lines += [f"{title}:", "", *_load_table(results[part]), ""]
    if "overload" in results:
        row = results["overload"]
        total = Counter(row["total"])
        lines += [
            f"Overload with a short queue (`{' '.join(SHORT_QUEUE)}`): ten times the capacity of {row['capacity']:.1f} "
            f"requests per second, for {row['seconds']} s. {total['answered']:,} were answered, {total['refused']:,} "
            f"got 429, {total['wrong']} were answered wrongly, {total['lost']} were lost. A single request took "
            f"{row['single_ms_before']:.0f} ms before; {row['recovered_seconds']:.2f} s after the last request of the "
            "overload it took no longer than twice that.",
            "",
            "| from second | sent | answered | got 429 | median of the answered, ms |",
            "| ---: | ---: | ---: | ---: | ---: |",
        ]
        for counts in row["curve"]:
            sent = sum(counts.get(kind, 0) for kind in ("answered", "refused", "wrong", "lost"))
            lines.append(
                f"| {counts['second']} | {sent} | {counts.get('answered', 0)} | {counts.get('refused', 0)} | "
                f"{counts['p50_ms']:.0f} |"
            )
        lines.append("")
    if "memory" in results:
        row = results["memory"]
        lines += [
            f"With the embedded model, 32 clients ({row['per_second']:.0f} requests per second, {row['cpu_ms']:.2f} "
            "CPU ms per request): "
            + "; ".join(f"{size / 1e6:.0f} MB after {count:,} requests" for count, size in thinned(row["after"]))
            + ".",
        ]
    return "\n".join(lines) + "\n"


def thinned(points: list[Any]) -> list[Any]:
    """About six of the points, the first and the last among them."""
    return [*points[: -1 : max(1, len(points) // 5)], points[-1]]


def _load_table(results: dict[str, dict[str, Row]]) -> list[str]:
    row = results["direct"][""]
    lines = [
        "| | clients | texts per second | median, ms | 99th percentile, ms | CPU ms per text | failed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| called directly, a list of 2,000 | | {row['per_second']:.1f} | | | {row['cpu_ms']:.1f} | |",
        f"| called directly, one text after another | | | {row['single_p50_ms']:.0f} | {row['single_p99_ms']:.0f} | "
        f"{row['single_cpu_ms']:.1f} | |",
    ]
    if "per_second_32" in row:
        lines.append(f"| called directly, lists of 32 | | {row['per_second_32']:.1f} | | | | |")
    for name, by_clients in results.items():
        for count, row in by_clients.items():
            if name != "direct":
                lines.append(
                    f"| {name} | {count} | {row['per_second']:.1f} | {row['p50_ms']:.0f} | {row['p99_ms']:.0f} | "
                    f"{row['cpu_ms']:.1f} | {row['not_2xx'] + row['broken']:.0f} |"
                )
    return lines


if __name__ == "__main__":
    main()
