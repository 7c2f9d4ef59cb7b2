"""Metrics in Prometheus' text format, under the names of text-embeddings-inference, and the access log."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from threading import Lock

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Histogram:
    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[sum(seconds > bound for bound in _BOUNDS)] += 1
        self.total += seconds

    def lines(self, name: str) -> list[str]:
        cumulative, lines = 0, [f"# TYPE {name} histogram"]
        for bound, count in zip((*_BOUNDS, "+Inf"), self.counts, strict=True):
            cumulative += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {cumulative}')
        return [*lines, f"{name}_sum {self.total:.6f}", f"{name}_count {cumulative}"]


class Metrics:
    """Counts requests, the queue and batches. All durations are seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._gauges = {"te_queue_size": 0, "te_batch_next_size": 0, "te_batch_next_tokens": 0}
        self._histograms = {
            f"te_request_{part}": _Histogram() for part in ("duration", "queue_duration", "inference_duration")
        }

    def request(self, method: str, seconds: float, status: int) -> None:
        """Count an answered request by its route."""
        with self._lock:
            self._counts[f'te_request_count{{method="{method}"}}'] += 1
            if status < 400:
                self._counts["te_request_success"] += 1
            else:
                self._counts[f'te_request_failure{{err="{status}"}}'] += 1
            self._histograms["te_request_duration"].observe(seconds)

    def queue_size(self, size: int) -> None:
        """Set the number of waiting inputs."""
        self._gauges["te_queue_size"] = size

    def batch(self, size: int, tokens: int, seconds: float) -> None:
        """Count a computed batch."""
        with self._lock:
            self._gauges |= {"te_batch_next_size": size, "te_batch_next_tokens": tokens}
            self._histograms["te_request_inference_duration"].observe(seconds)

    def waited(self, seconds: float) -> None:
        """Count the time that an input spent in the queue."""
        with self._lock:
            self._histograms["te_request_queue_duration"].observe(seconds)

    def render(self) -> str:
        """All metrics in Prometheus' text format."""
        with self._lock:
            lines = []
            for family in ("te_request_count", "te_request_success", "te_request_failure"):
                lines.append(f"# TYPE {family} counter")
                lines += [f"{name} {count}" for name, count in sorted(self._counts.items()) if name.startswith(family)]
            for name, value in self._gauges.items():
                lines += [f"# TYPE {name} gauge", f"{name} {value}"]
            for name, histogram in self._histograms.items():
                lines += histogram.lines(name)
        return "\n".join(lines) + "\n"


def log_access(method: str, route: str, status: int, seconds: float) -> None:
    """Write one JSON line to stderr. Nothing of a request's text, query or headers is logged."""
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "method": method,
        "route": route,
        "status": status,
        "ms": round(1000 * seconds, 1),
    }
    print(json.dumps(entry), file=sys.stderr, flush=True)
