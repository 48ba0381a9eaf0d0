"""Measure every configuration of something once, as a table that samplers are compared on.

    python examples/measure_sweep.py sweep.csv
    optuna-scoot compare sweep.csv --minimize bytes --cost seconds

What is tuned are the options of the LZMA compressor on a piece of this Python's own library. The
compressor refuses some of them, which is what a crash is here.
"""

from __future__ import annotations

import csv
import itertools
import lzma
import sys
import time
import traceback
from pathlib import Path


LEVELS = {
    "lc": range(5),  # bits of the previous byte that a literal is predicted from
    "lp": range(5),  # bits of the position that a literal is predicted from
    "pb": range(3),
    "nice_len": (8, 32, 128),  # irregular levels in order
    "mode": ("fast", "normal"),
}
MODES = {"fast": lzma.MODE_FAST, "normal": lzma.MODE_NORMAL}
N_BYTES = 20_000


def measure(data: bytes, configuration: dict[str, int | str]) -> dict[str, float | str]:
    """Return one row's status, compressed size and time."""
    start = time.perf_counter()
    options = {**configuration, "mode": MODES[str(configuration["mode"])]}
    try:
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16, **options}]
        size: int | str = len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters))
        status = "ok"
    except lzma.LZMAError:
        size, status = "", "refused"
    return {"status": status, "bytes": size, "seconds": time.perf_counter() - start}


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "sweep.csv")
    data = Path(traceback.__file__).read_bytes()[:N_BYTES]
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*LEVELS, "status", "bytes", "seconds"])
        writer.writeheader()
        for values in itertools.product(*LEVELS.values()):
            configuration = dict(zip(LEVELS, values, strict=True))
            writer.writerow({**configuration, **measure(data, configuration)})
    print(f"written: {target}")


if __name__ == "__main__":
    main()
