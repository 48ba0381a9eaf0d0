"""The records of a run as a file."""

from __future__ import annotations

import csv
import gzip
import stat
from pathlib import Path

from objectives.metrics import RequestRecord
from objectives.metrics.record_files import write_records


def test_each_request_is_a_line_that_its_owner_alone_reads_without_secrets(
    tmp_path: Path,
) -> None:
    path = tmp_path / "r.csv.gz"
    path.write_text("of an earlier run")
    path.chmod(0o644)
    done = RequestRecord(0, 0.1, 0.10000049, 0.25, 1.5, 12, 30, (0.1,))
    lost = RequestRecord(1, 0.2, 0.2, None, None, 7, 0, error='http status: 500, "key hush"\n')
    write_records(path, [done, lost], lambda text: text.replace("hush", "***"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "index": "0",
            "scheduled": "0.1",
            "sent": "0.1",
            "first_token": "0.25",
            "last_token": "1.5",
            "prompt_tokens": "12",
            "output_tokens": "30",
            "error": "",
        },
        {
            "index": "1",
            "scheduled": "0.2",
            "sent": "0.2",
            "first_token": "",
            "last_token": "",
            "prompt_tokens": "7",
            "output_tokens": "0",
            "error": 'http status: 500, "key ***"\n',
        },
    ]
