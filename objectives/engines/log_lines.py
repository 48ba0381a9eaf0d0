"""A log's lines without what is written before them, and what of them states an error.

An engine's log comes through many programs: the engine's own processes, Ray, NCCL, a container's
runtime, Compose, Kubernetes, ``docker logs``. Each writes its name, a time or a level before the
words. A line of a level below error only informs, and never decides why an engine ended.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


LONGEST_MESSAGE = 12  # lines of an exception's message that are read after its first
LONGEST_LINE = 4000  # characters of a line that are read
MOST_STATEMENTS = 300  # of a kind, of those that come first, and as many of the last

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|[\x00-\x08\x0e-\x1f\x7f-\x9f]"
)
_LEVEL_NAMES = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)"
_LEVEL = rf"(?P<level>{_LEVEL_NAMES})"
# What may stand before the words of a line, in any order and number.
_PREFIXES = [
    re.compile(pattern)
    for pattern in (
        r"\[\d{4}-\d\d-\d\d [\d:,.]+ (?P<letter>[DIWEFC]) \d+ \d+\] (?:\(\S+\) )?\S+:\d+: ",  # Ray
        r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?\]?:?(?:\s|$)",
        r"(?:stdout|stderr) [FP](?:\s|$)",  # containerd, after its time
        r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+?(?:\[\d+\])?: ",  # syslog
        r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: [A-Z]{2}\d+)+\] ",  # SGLang, with its ranks
        r"\[pod/\S+\] ",
        r"\((?:[^()]*\b)?pid=\d+[^()]*\)(?: \[repeated [^]]*\])?\s",  # vLLM and Ray
        r"\((?:raylet|autoscaler|gcs_server)[^()]*\)\s",
        r"\[(?:rank|default)\d+\]:\s?",  # torch
        r"\[\d+,\d+\]<std(?:out|err)>:\s?",  # MPI
        r"\d{1,4}: ",  # Slurm
        r"\s+\| ",  # the parts of an exception group
        rf"{_LEVEL}\s+[\d-]+ [\d:.,]+ (?:\[[^]]*\]|\S*:\d+\])(?:\s|$)",  # vLLM, before 0.8 too
        rf"(?:- )?(?:[\w.]+ - )?{_LEVEL} - ",  # Python's logging
        rf"{_LEVEL}:(?:[\w.]+:(?!\s))?\s*",  # Python's logging; uvicorn
        rf"{_LEVEL}\s+\S+:\d+ -- ",  # Ray
        rf"(?i:\[{_LEVEL}\])(?: \([^()=]*\))?:?\s+",
        rf"\|\s*{_LEVEL}\s*\|\s*(?:\S+ - )?",  # loguru
        rf"\[[^][]{{1,60}}\]:?\s+(?=\([^()]*pid=|\[?{_LEVEL_NAMES}\b)",  # a tag of some launcher
        rf"{_LEVEL}\s+",
        r"\[?(?P<letter>[DIWEFC])\d{3,4} \d\d:\d\d:\d\d[^]]*\]\s?",  # glog
        r"\[(?P<letter>[DIWEFC]) [^]]*\.(?:cpp|cc|h|hpp|py):\d+\]\s?",
        r"\S+:\d+:\d+ \[\d+\] (?:\S+:\d+ )?NCCL (?P<nccl>INFO|WARN|TRACE) ",
    )
]
_COMPOSE = re.compile(r"[\w.-]+\s+\| ")  # "vllm-1  | ", only where a line begins
_LOGFMT = re.compile(rf'.*\blevel="?(?i:{_LEVEL})"? msg="(?P<text>.*)"', re.IGNORECASE)
_WARNING = re.compile(r"\S+:\d+: \w*Warning: ")  # what Python's warnings print
_IGNORED = re.compile(r"Ignore import error when loading ")  # SGLang, of other models' modules
_INFORMS = {"TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "D", "I", "W"}

_NAMED = r"[A-Za-z_]*(?:Error|Exception|Failure|NotFound|Timeout|Interrupt|Exit|OutOfResources)"
_EXCEPTION = re.compile(
    rf"^(?:(?:[A-Za-z_]\w*\.)*{_NAMED}\w*|(?:[A-Za-z_]\w*\.)+[A-Z]\w*)(?:\([\w.]+\))?(?:: |:?$)"
)
# What is stated as plainly as by an exception.
_STATEMENT = re.compile(r"^  Value error, |^[\w./-]+: error: |: No module named ")
# Exceptions that end nothing: of a thread, or of a finaliser.
_HARMLESS = re.compile(r"^(?:Exception in thread |Exception ignored in)")
_TRACEBACK = re.compile(r"^Traceback \(most recent")
_CHAIN = re.compile(r"^(?:During handling of|The above exception)")
_OPENINGS = (_HARMLESS, _TRACEBACK, _CHAIN, _EXCEPTION, _STATEMENT)
_FRAME = re.compile(r"^(?:\s{4,}|  File |\s+\^)|^\s*[~^+-]+\s*$")


@dataclass(frozen=True)
class Statement:
    """An error in the words of whoever states it.

    Attributes:
        lines: Its first line, and what else its message says.
        strong: Whether it is an exception or as plain; else any line that does not merely inform.
    """

    lines: tuple[str, ...]
    strong: bool

    @property
    def head(self) -> str:
        """Return its first line."""
        return self.lines[0]

    @property
    def text(self) -> str:
        """Return all of it."""
        return "\n".join(self.lines)


def statements(log: str) -> list[Statement]:
    """Return what a log states, in order and each once; what only informs is left out."""
    found: dict[Statement, None] = {}
    lines = [_bare(line) for line in _split(log)]
    # In a harmless exception; it has been named; another one that it led to follows.
    harmless = named = chained = False
    for index, line in enumerate(lines):
        if not line or _FRAME.match(line):
            continue
        if _HARMLESS.match(line):
            harmless, named = True, False
        elif _CHAIN.match(line):
            chained = True
        elif _TRACEBACK.match(line):
            harmless = harmless and (chained or not named)
            chained = False
        elif _EXCEPTION.match(line):
            named = True
            if not harmless:
                message = (line.strip(), *_rest_of_message(lines, index + 1))
                found[Statement(message, strong=True)] = None
        else:
            harmless = harmless and not named
            if not harmless:
                strong = _STATEMENT.search(line) is not None
                found[Statement((line.strip(),), strong)] = None
    return _first_and_last(list(found))


def _first_and_last(found: list[Statement]) -> list[Statement]:
    """Return a bounded number of statements: a program may print for ever."""
    kept: set[Statement] = set()
    for strong in (True, False):
        of_kind = [s for s in found if s.strong is strong]
        kept.update(of_kind[:MOST_STATEMENTS], of_kind[-MOST_STATEMENTS:])
    return [s for s in found if s in kept]


def without_colours(log: str) -> str:
    """Return the log without the terminal's control characters."""
    return _CONTROL.sub("", log)


def _split(log: str) -> list[str]:
    lines = re.split(r"[\r\n]+", without_colours(log))
    return [line[:LONGEST_LINE] for line in lines if line and not line.isspace()]


def _rest_of_message(lines: list[str | None], start: int) -> list[str]:
    """Return the further lines of an exception's message."""
    rest: list[str] = []
    for line in lines[start : start + LONGEST_MESSAGE]:
        if line is None or any(p.search(line) for p in _OPENINGS):
            break
        if line and not _FRAME.match(line):
            rest.append(line.strip())
    return rest


def _bare(line: str) -> str | None:
    """Return a line's words without prefixes; None when it only informs."""
    line = _from_json(line)
    line = _COMPOSE.sub("", line, count=1) if _COMPOSE.match(line) else line
    if (fields := _LOGFMT.match(line)) is not None:
        return None if fields["level"].upper() in _INFORMS else fields["text"]
    while (prefix := _match_prefix(line)) is not None:
        groups = prefix.groupdict()
        level = (groups.get("level") or groups.get("letter") or "").upper()
        if level in _INFORMS or groups.get("nccl") in ("INFO", "TRACE"):
            return None
        line = line[prefix.end() :]
    return None if _WARNING.match(line) or _IGNORED.match(line) else line.rstrip()


def _match_prefix(line: str) -> re.Match[str] | None:
    return next((m for p in _PREFIXES if (m := p.match(line)) is not None and m.end() > 0), None)


def _from_json(line: str) -> str:
    """Return the words of a line that is a JSON object, as Docker and some loggers write."""
    if not line.startswith("{"):
        return line
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict):
        return line
    words = next(
        (entry[k] for k in ("log", "message", "msg") if isinstance(entry.get(k), str)), None
    )
    level = next((entry[k] for k in ("level", "levelname", "severity") if k in entry), None)
    if words is None:
        return line
    return words.rstrip("\n") if level is None else f"{str(level).upper()}: {words}"
