"""Prompts against three kinds of tokenizer, each trained on the spot."""

from __future__ import annotations

import sysconfig
import tracemalloc
from collections.abc import Callable
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers import decoders
from tokenizers import models
from tokenizers import normalizers
from tokenizers import pre_tokenizers
from tokenizers import processors
from tokenizers import trainers

from objectives.drawn_prompts import DrawnTexts
from objectives.prompts import MIN_WORDS
from objectives.prompts import NoTokenizer
from objectives.prompts import PromptError
from objectives.prompts import Prompts
from objectives.prompts import PromptWriter
from objectives.prompts import build_prompts
from objectives.prompts import count_texts
from objectives.prompts import count_tokens
from objectives.prompts import load_tokenizer
from objectives.prompts import stable_words
from objectives.prompts import write_prompts
from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.traces import load_trace
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from objectives.workload import build_workload
from tests.small_model import make_small_model


def train(tokenizer: Tokenizer, vocabulary: int = 2500) -> Tokenizer:
    folder = Path(sysconfig.get_paths()["stdlib"])
    sources = [(folder / f"{name}.py").read_text() for name in ("argparse", "typing", "inspect")]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<s>", "</s>"], show_progress=False
    )
    tokenizer.train_from_iterator(sources, trainer)
    return tokenizer


def byte_level() -> Tokenizer:
    """Like GPT-2 and Qwen: words split before merging, no special tokens added."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return train(tokenizer)


def with_bos() -> Tokenizer:
    """Like LLaMA3: as above, with a token before every text."""
    tokenizer = byte_level()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer


def metaspace() -> Tokenizer:
    """Like LLaMA2: spaces are a visible mark, one more in front, no splitting into words."""
    tokenizer = Tokenizer(models.BPE(unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()  # no token was learned over a space
    tokenizer = train(tokenizer)
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", "isolated")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer


def over_words() -> Tokenizer:
    """Worse than any of those: it also merges the end of a word with the space after it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    return train(tokenizer, vocabulary=4000)


WORD_BY_WORD: list[Callable[[], Tokenizer]] = [byte_level, with_bos, metaspace]


@pytest.fixture(scope="module", params=[*WORD_BY_WORD, over_words], ids=lambda kind: kind.__name__)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    made = request.param()
    assert isinstance(made, Tokenizer)
    return made


def workload(*requests: TraceRequest) -> Workload:
    scheduled = (ScheduledRequest(i, float(i), request) for i, request in enumerate(requests))
    return Workload(tuple(scheduled), "test", float(len(requests)))


def ids(prompts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    return [list(encoding.ids) for encoding in tokenizer.encode_batch(list(prompts))]


def common(a: list[int], b: list[int]) -> int:
    """Length of the common beginning."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


@pytest.mark.parametrize("name", ["sql", "bot", "cls", "rec"])
def test_every_prompt_has_exactly_its_tokens(tokenizer: Tokenizer, name: str) -> None:
    load = build_workload(load_trace(name), rate=4.0, duration=6.0)
    prompts = build_prompts(load, tokenizer)
    lengths = [len(tokens) for tokens in ids(prompts, tokenizer)]
    assert lengths == [s.request.prompt_tokens for s in load.requests]


def test_short_prompts_have_exactly_their_tokens(tokenizer: Tokenizer) -> None:
    shortest = len(tokenizer.encode(stable_words(tokenizer)[0]).ids)
    load = workload(*(TraceRequest(n, 1) for n in range(shortest, 40)))
    lengths = [len(tokens) for tokens in ids(build_prompts(load, tokenizer), tokenizer)]
    assert lengths == list(range(shortest, 40))


@pytest.mark.parametrize("kind", WORD_BY_WORD)
def test_prompts_share_what_their_prefix_says_and_nothing_else(
    kind: Callable[[], Tokenizer],
) -> None:
    tokenizer = kind()
    load = workload(
        TraceRequest(100, 1, prefix_id="a", prefix_tokens=60),
        TraceRequest(100, 1, prefix_id="a", prefix_tokens=60),
        TraceRequest(90, 1, prefix_id="a", prefix_tokens=40),
        TraceRequest(100, 1, prefix_id="b", prefix_tokens=60),
        TraceRequest(100, 1),
        TraceRequest(100, 1),
        TraceRequest(80, 1, prefix_id="a", prefix_tokens=80),
        TraceRequest(95, 1, prefix_id="a", prefix_tokens=80),
    )
    tokens = ids(build_prompts(load, tokenizer), tokenizer)
    overhead = len(tokenizer.encode(stable_words(tokenizer)[0]).ids) - 1
    assert common(tokens[0], tokens[1]) == 60
    assert common(tokens[0], tokens[2]) == 40  # the shorter begins the longer
    assert common(tokens[0], tokens[6]) == 60
    assert common(tokens[6], tokens[7]) == 80  # also what the longer adds is shared
    for i, j in combinations([0, 3, 4, 5], 2):
        assert common(tokens[i], tokens[j]) == overhead


def test_thousands_of_prompts_differ_within_the_smallest_cache_block(
    tokenizer: Tokenizer,
) -> None:
    load = workload(*(TraceRequest(12, 1) for _ in range(3000)))
    n_words = len(stable_words(tokenizer))
    assert n_words < 3000  # so that one word does not tell them all apart
    prompts = build_prompts(load, tokenizer)
    tokens = ids(prompts, tokenizer)
    assert len({tuple(t[:8]) for t in tokens}) == 3000
    assert len({prompt.split()[0] for prompt in prompts[:n_words]}) == n_words
    assert len({tuple(t[-6:]) for t in tokens}) > 2990


def test_words_depend_on_the_seed_alone(tokenizer: Tokenizer) -> None:
    load = build_workload(load_trace("sql"), rate=4.0, duration=3.0)
    prompts = build_prompts(load, tokenizer, seed=1)
    assert build_prompts(load, tokenizer, seed=1) == prompts
    others = build_prompts(load, tokenizer, seed=2)
    assert not set(prompts) & set(others)


def test_a_load_with_another_seed_finds_nothing_of_the_first_in_a_prefix_cache(
    tmp_path: Path,
) -> None:
    """Not even what the trace declares as shared: each load is as cold as the first."""
    make_small_model(tmp_path / "m")
    trace = load_trace("sql")
    loads = [
        build_workload(trace, rate=2.0, duration=20.0, max_model_len=512, too_long="clip", **seed)
        for seed in ({}, {"prompt_seed": 1}, {"prompt_seed": 2})
    ]
    tokenizer = load_tokenizer(tmp_path / "m")
    tokens = [ids(write_prompts(load, tmp_path / "m").texts, tokenizer) for load in loads]

    within = max(common(a, b) for a, b in combinations(tokens[0], 2))
    between = max(
        common(a, b) for one, other in combinations(tokens, 2) for a in one for b in other
    )
    assert within > 100
    assert between < 8  # the smallest block of a prefix cache


def test_a_prompt_does_not_depend_on_those_before(tokenizer: Tokenizer) -> None:
    long = TraceRequest(90, 1, prefix_id="a", prefix_tokens=70)
    short = TraceRequest(60, 1, prefix_id="a", prefix_tokens=50)
    assert (
        build_prompts(workload(long, short), tokenizer)[1]
        == (build_prompts(workload(short, short), tokenizer)[1])
    )


def test_text_of_the_trace_is_kept_and_counted(tokenizer: Tokenizer) -> None:
    text = "def add(first, second):\n    return first + second\n"
    trace = count_tokens(Trace("t", (TraceRequest(0, 1, prompt=text),)), tokenizer)
    counted = trace.requests[0].prompt_tokens
    assert counted == len(tokenizer.encode(text).ids)
    assert build_prompts(workload(*trace.requests), tokenizer) == (text,)


def test_a_count_of_another_tokenizer_is_corrected_and_told(tokenizer: Tokenizer) -> None:
    text = "def add(first, second):\n    return first + second\n"
    right = len(tokenizer.encode(text).ids)
    requests = [TraceRequest(n, 1, prompt=text) for n in (3, right, 300, 0)]
    trace = count_tokens(Trace("t", (*requests, TraceRequest(7, 1)), ("read so",)), tokenizer)
    assert [request.prompt_tokens for request in trace.requests] == [right] * 4 + [7]
    assert trace.notes == ("read so", "2 of 4 texts counted again by the model's tokenizer")


def test_a_text_with_fewer_tokens_than_its_request_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(PromptError, match=r"request 0: its text has .* tokens and not 300"):
        build_prompts(workload(TraceRequest(300, 1, prompt="one two")), tokenizer)


@pytest.mark.parametrize("added", [-1, 1, 2])
def test_prompts_leave_room_for_what_the_server_adds(added: int) -> None:
    made = with_bos()
    text = "class Parser:\n    def __init__(self, parent=None) -> None: ...\n"
    whole = len(made.encode(text).ids)
    load = workload(
        *(TraceRequest(n, 1) for n in (5, 60, 300)),
        TraceRequest(100, 1, prefix_id="a", prefix_tokens=60),
        TraceRequest(90, 1, prefix_id="a", prefix_tokens=60),
        TraceRequest(10, 1, prompt=text),
        TraceRequest(whole, 1, prompt=text),
    )
    prompts = build_prompts(load, made, added=added)
    tokens = ids(prompts, made)
    assert [len(t) + added for t in tokens[:5]] == [5, 60, 300, 100, 90]
    assert common(tokens[3], tokens[4]) + added == 60
    assert len(tokens[5]) + max(added, 0) <= 10  # cut
    assert prompts[6] == text


def test_lengths_are_what_the_tokenizer_counts(tmp_path: Path) -> None:
    made = with_bos()
    made.save(str(tmp_path / "tokenizer.json"))
    text = "class Größe:\n    def __init__(self, parent=None) -> None: ...\n"
    load = workload(TraceRequest(50, 1), TraceRequest(9, 1, prompt=text), TraceRequest(6, 1))
    written = write_prompts(load, tmp_path)
    assert tuple(written.texts) == build_prompts(load, made)
    assert list(written.lengths) == [len(made.encode(text).ids) for text in written.texts]
    assert [n + 1 for n in written.lengths[::2]] == [51, 7]
    shorter = write_prompts(load, tmp_path, added=1)
    assert list(shorter.lengths[::2]) == [50, 6]
    assert [len(made.encode(text).ids) for text in shorter.texts[::2]] == [49, 5]


@pytest.mark.parametrize("kind", ["truncation", "padding"])
def test_what_a_tokenizer_file_cuts_or_fills_up_is_neither(tmp_path: Path, kind: str) -> None:
    made = byte_level()
    text = "def add(first, second): return first + second"
    n_tokens = len(made.encode(text).ids)
    if kind == "truncation":
        made.enable_truncation(max_length=5)
    else:
        made.enable_padding(length=512, pad_token="<s>")
    assert len(made.encode(text).ids) != n_tokens
    made.save(str(tmp_path / "tokenizer.json"))
    assert len(load_tokenizer(tmp_path).encode(text).ids) == n_tokens
    load = workload(TraceRequest(40, 1), TraceRequest(700, 1))
    assert list(write_prompts(load, tmp_path).lengths) == [40, 700]


def test_texts_with_their_counts_need_no_tokenizer(tmp_path: Path) -> None:
    counted = Trace("t", (TraceRequest(2, 1, prompt="one two"), TraceRequest(1, 1, prompt="a")))
    assert count_texts(counted, tmp_path) == counted
    load = workload(*counted.requests)
    assert write_prompts(load, tmp_path) == Prompts(("one two", "a"), (2, 1), counted_here=False)
    uncounted = Trace("t", (*counted.requests, TraceRequest(0, 1, prompt="b")))
    with pytest.raises(NoTokenizer, match=r"holds no tokenizer\.json"):
        count_texts(uncounted, tmp_path)
    with pytest.raises(NoTokenizer, match="or give every request its text and prompt_tokens"):
        write_prompts(workload(*counted.requests, TraceRequest(5, 1)), tmp_path)
    with pytest.raises(NoTokenizer, match="no text is shortened"):
        write_prompts(Workload(load.requests, "t", 1.0, n_clipped=1), tmp_path)


def test_texts_are_counted_where_there_is_a_tokenizer(tmp_path: Path) -> None:
    byte_level().save(str(tmp_path / "tokenizer.json"))
    trace = Trace("t", (TraceRequest(0, 1, prompt="import os"), TraceRequest(5, 1)))
    counted = count_texts(trace, tmp_path).requests
    assert counted[0].prompt_tokens == len(byte_level().encode("import os").ids)
    assert counted[1] == TraceRequest(5, 1)


def test_text_that_was_clipped_is_cut_at_its_end(tokenizer: Tokenizer) -> None:
    text = "class Größe:\n    def __init__(self, parent=None) -> None: ...\n"
    for n_tokens in range(4, 12):
        (cut,) = build_prompts(workload(TraceRequest(n_tokens, 1, prompt=text)), tokenizer)
        assert text.startswith(cut)
        assert len(cut) >= 2
        assert n_tokens - 2 <= len(tokenizer.encode(cut).ids) <= n_tokens


def test_a_length_below_what_the_tokenizer_adds_is_refused() -> None:
    with pytest.raises(PromptError, match="request 0: no prompt has 1 tokens"):
        build_prompts(workload(TraceRequest(1, 1)), with_bos())


@pytest.mark.parametrize("kind", WORD_BY_WORD)
def test_words_are_single_tokens_beside_any_other(kind: Callable[[], Tokenizer]) -> None:
    tokenizer = kind()
    words = stable_words(tokenizer)
    assert MIN_WORDS <= len(words) == len(set(words))
    rng = np.random.default_rng(0)
    base = len(tokenizer.encode(words[0]).ids)
    for _ in range(20):
        picked = [words[i] for i in rng.integers(len(words), size=50)]
        assert len(tokenizer.encode("".join(picked)).ids) == base + 49


def test_a_tokenizer_without_words_is_refused() -> None:
    letters = Tokenizer(models.BPE())
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters.decoder = decoders.ByteLevel()
    letters = train(letters, vocabulary=60)
    with pytest.raises(PromptError, match=r"too few to write prompts .*: give .* text"):
        build_prompts(workload(TraceRequest(9, 1)), letters)
    text = workload(TraceRequest(2, 1, prompt="ab"))
    assert build_prompts(text, letters) == ("ab",)


def test_a_tokenizer_is_loaded_from_its_folder_or_file(tmp_path: Path) -> None:
    made = byte_level()
    made.save(str(tmp_path / "tokenizer.json"))
    for path in (tmp_path, tmp_path / "tokenizer.json", str(tmp_path)):
        assert load_tokenizer(path).encode(" import").ids == made.encode(" import").ids


def test_a_tokenizer_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"holds no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(PromptError, match="no tokenizer for model"):
        load_tokenizer(tmp_path)
    with pytest.raises(PromptError, match="no tokenizer for model 'no such/model at all'"):
        load_tokenizer("no such/model at all")


def test_token_that_no_header_carries_is_refused_and_not_shown() -> None:
    with pytest.raises(PromptError, match="token cannot be sent") as refused:
        load_tokenizer("org/model", token="hf_verysecret\n")
    assert "verysecret" not in str(refused.value)


def test_texts_that_were_cut_or_repaired_are_the_same_whenever_they_are_asked_for() -> None:
    plain, own = TraceRequest(40, 1), TraceRequest(5, 1, prompt="one two three four five six")
    load, made = workload(plain, own, plain), byte_level()
    written = DrawnTexts(load, PromptWriter(made).drawer, {1: "one two three", 2: "another"})
    drawn = build_prompts(workload(plain), made)[0]
    assert list(written) == list(written) == [drawn, "one two three", "another"]
    assert written[::-1] == ("another", "one two three", drawn)


def test_texts_are_not_kept(tmp_path: Path) -> None:
    byte_level().save(str(tmp_path / "tokenizer.json"))
    n = 150
    load = workload(*[TraceRequest(1000, 1)] * n)
    write_prompts(load, tmp_path)  # what comes first loads modules
    tracemalloc.start()
    written = write_prompts(load, tmp_path)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 0.3 * sum(map(len, written.texts))
