"""The public trace formats (``docs/traces.md``): names and units of their columns.

A format is recognised by the names of its columns or keys, whatever their case. What a column
counts in is part of the format where its source documents it. Where it does not, or where another
source uses the same names otherwise, the file has to prove it or the user has to say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from objectives.trace_formats.rows import TraceFile
from objectives.trace_formats.stamps import TimeUnit


MOONCAKE_BLOCK = 512  # tokens that one of Mooncake's hash ids stands for
BAILIAN_BLOCK = 16

AIPERF_TEXT = "text_input"  # AIPerf's name, whose trace files count milliseconds
TEXTS = ("prompt", AIPERF_TEXT)
CREATED = "created"  # when an OpenAI-compatible server answered, in seconds since 1970


class PublicTraceError(ValueError):
    """A file in a public trace format is invalid; the message says where."""


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """How a source names its columns or keys, in lower case.

    Attributes:
        name: The source.
        prompt: Length of the prompt; may be missing where there is a text.
        output: Length of the answer.
        time: Arrival; None: the format has none.
        needs_time: Whether a file without that column is in another format.
        unit: Unit of a number in that column; None: to be proven, or stated by the user.
        blocks: The column of the hash ids.
        known: Further columns of the source, which change nothing about the load or follow from
            the others.
    """

    name: str
    prompt: str
    output: str
    time: str | None = None
    needs_time: bool = False
    unit: TimeUnit | None = None
    blocks: str | None = None
    known: frozenset[str] = frozenset()

    def fits(self, names: Mapping[str, str]) -> bool:
        """Return whether columns of these names, in lower case, are in this format."""
        has_prompt = self.prompt in names or any(text in names for text in TEXTS)
        has_time = not self.needs_time or self.time in names
        return has_prompt and has_time and self.output in names


AZURE = TraceFormat("Azure", "contexttokens", "generatedtokens", "timestamp", needs_time=True)
BURST_GPT = TraceFormat(
    "BurstGPT",
    "request tokens",
    "response tokens",
    "timestamp",
    needs_time=True,
    unit="s",
    known=frozenset({"model", "total tokens", "log type", "session id", "elapsed time"}),
)
VIDUR = TraceFormat(
    "lengths",
    "num_prefill_tokens",
    "num_decode_tokens",
    "arrived_at",
    unit="s",
    known=frozenset({"num_total_tokens", "pd_ratio"}),
)
GUIDE_LLM = TraceFormat("GuideLLM", "prompt_tokens_count", "output_tokens_count")
MOONCAKE = TraceFormat(
    "Mooncake", "input_length", "output_length", "timestamp", needs_time=True, blocks="hash_ids"
)
BAILIAN = TraceFormat(
    "Qwen-Bailian",
    "input_length",
    "output_length",
    "timestamp",
    needs_time=True,
    unit="s",
    blocks="hash_ids",
    known=frozenset({"chat_id", "parent_chat_id", "type", "turn"}),
)
# The usage that an OpenAI-compatible server reports, under the times that logs of it have.
OPENAI = tuple(
    TraceFormat(
        "OpenAI",
        "prompt_tokens",
        "completion_tokens",
        time,
        needs_time=time != CREATED,
        known=frozenset({"total_tokens", "model", "id", "object", "prefix_id", "prefix_tokens"}),
    )
    for time in ("timestamp", "created_at", "starttime", CREATED)
)
FORMATS = (AZURE, BURST_GPT, VIDUR, GUIDE_LLM, BAILIAN, MOONCAKE, *OPENAI)
# The index column of a table, which means nothing.
INDEX = frozenset({"index", "unnamed: 0"})


def names_of(file: TraceFile) -> dict[str, str]:
    """Return the columns or keys of a file: in lower case, and as they stand there."""
    names = file.columns or dict.fromkeys(key for _, row in file.rows for key in row)
    return {name.lower(): name for name in names}


def find_format(names: Mapping[str, str]) -> TraceFormat | None:
    """Return the public format of a file with these columns or keys, None when it is in none.

    Args:
        names: The names in lower case, with the names as they stand in the file.
    """
    for trace_format in FORMATS:
        if trace_format is BAILIAN and "chat_id" not in names:
            continue
        if trace_format.fits(names):
            return trace_format
    return None


def describe_formats() -> str:
    """Return the columns of tables that are read, for a message."""
    return (
        "TIMESTAMP, ContextTokens, GeneratedTokens (Azure), Timestamp, Request tokens, Response "
        "tokens (BurstGPT), num_prefill_tokens, num_decode_tokens (lengths), prompt_tokens_count, "
        "output_tokens_count (GuideLLM), prompt_tokens, completion_tokens (OpenAI's usage) or "
        "prompt_tokens, output_tokens"
    )
