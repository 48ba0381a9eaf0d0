"""The comparison as a Markdown page: what was run, how to run it again, wins and losses."""

from __future__ import annotations

import platform
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version

import numpy as np

from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.reporting.statistics import bootstrap_mean
from optuna_scoot.comparison.reporting.statistics import paired
from optuna_scoot.comparison.reporting.summary import Entry
from optuna_scoot.comparison.reporting.tables import costs_shown


PACKAGES = (
    "optuna-scoot",
    "optuna",
    "optuna-integration",
    "botorch",
    "smac",
    "ax-platform",
    "torch",
    "pymoo",
    "HEBO",
)

_INTRODUCTION = """\
# Comparison with other samplers

Written by `optuna-scoot compare`; do not edit by hand.

**Score.** How much of what was to be gained over the default configuration a run has gained: with
one objective (default - best) / (default - optimum), with several the hypervolume of its points
over the optimum's, the default's values being the reference point. 0 is the default, 1 is the
optimum. Optima of analytic problems are known by formula; those of the simulated services come
from a search of a thousand evaluations and more, which a checkout can repeat
(`python -m optuna_scoot.comparison.development references`).

**Budget.** Every run evaluates the default configuration first and has the same number of trials.

**Modes.** Samplers that ignore failed trials can be run in every way a user would try: a crash is
told as a failed trial (`fail`), as the worst values seen so far (`penalty`), as values far beyond
the default's (`large`), or as the worst values with a violated constraint (`constraint`); each
also with the known constraints given for free (`+known`: violating suggestions are rejected and
drawn again, then replaced by a random valid one). Of the modes that the commands below name, the
one with the best mean score counts as the sampler's result in a family. TPE and NSGA-II look at
the order of the values alone, for which `large` is the same as `penalty`.

**Peers** from other packages come with `pip install 'optuna-scoot[peers]'`: `botorch` is
Optuna's `BoTorchSampler`; `smac` is SMAC3's facade for mixed parameters, fitted again after
every trial, with ParEGO for several objectives; `ax` is Ax with the strategy that it chooses
itself. A failed trial is told SMAC as crashed at the worst cost seen, which makes `fail` and
`penalty` the same, and Ax as abandoned; Ax also takes constraints. `hebo` takes part in a
checkout where the environment variable `OPTUNA_SCOOT_HEBO_PYTHON` names a Python that has HEBO:
it needs older versions of NumPy and pymoo than this package, so it runs in a process of its own;
with several objectives it is `GeneralBO`.

**Problems** come in three sets. Those of `tuning` are looked at while `ScootSampler` is
developed, in a checkout alone. Those of `seen` were held out until choices in the sampler were
made on their results: they are tuning problems too. Nothing was chosen on those of `fresh`,
which have other functions, other rules of what crashes and other services, and are taken unless
others are named. The commands below say which set the figures of this page are of. An analytic
problem is shifted, mirrored and permuted differently for every seed
(`optuna-scoot compare --list` names them all). Tables of measured configurations are problems as
well: `optuna-scoot compare TABLE.csv`.

**Intervals** are 95 %: percentile bootstrap over the cases (problem and seed) for means and paired
differences, Wilson's for win rates, in which a tie counts half to each.

**Seconds** a suggestion are those of the machine that happened to make a run, often with others at
the same time; `optuna-scoot compare --suggestion-time` measures samplers in turns.
"""

_TABLES = """\
**Tables** are measured by whoever gives them: a configuration is looked up, what has no row
crashes, and the optimum is that of the rows. The digits after a name stand for the table's content
and the meaning of its columns.
"""

_COSTS = """\
*Cost*: what the trials of a run cost, over what those of the cheapest run on the same case did.
*At cost*: the score when as much as that had been spent.
"""


def write_report(comparison: Comparison, commands: Sequence[str]) -> str:
    """Return the page.

    Args:
        comparison: The finished comparison.
        commands: The commands that make it, shown as they are to be typed.

    Returns:
        The page in Markdown.
    """
    sections: tuple[Callable[[Comparison], str], ...] = (
        _results,
        _losses,
        _problems,
        _variants,
        _batches,
        _modes,
    )
    tables = [_TABLES] if Family.TABLE in comparison.groups else []
    parts = [_INTRODUCTION, *tables, _how(comparison, commands)]
    parts += [text for text in (section(comparison) for section in sections) if text]
    return "\n".join(parts)


def _how(comparison: Comparison, commands: Sequence[str]) -> str:
    """Return what was run, with which versions, and the commands."""
    runs = list({id(run): run for _, run in comparison.runs}.values())
    seeds = sorted({run.key.seed for run in runs})
    budgets = sorted({run.key.n_trials for run in runs})
    versions = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    lines = [
        "## What was run",
        "",
        f"{len(runs)} runs of {', '.join(map(str, budgets))} trials, seeds {_ranges(seeds)}, "
        f"Python {platform.python_version()}, {versions}.",
        "",
        "```",
        *commands,
        "```",
        "",
    ]
    return "\n".join(lines)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _ranges(numbers: Sequence[int]) -> str:
    """Return ``[0, 1, 2, 7]`` as ``0-2, 7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; every column after the first is aligned to the right."""
    ruler = ["---", *(["---:"] * (len(headings) - 1))]
    lines = [headings, ruler, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _results(comparison: Comparison) -> str:
    """Return one table of scores and one of pairs for each family."""
    parts = ["## Results", ""]
    for group in comparison.groups:
        ours = comparison.subject_entry(group)
        entries = [*([ours] if ours else []), *comparison.peers(group)]
        entries += [e for e in comparison.variants(group) if e.sampler == "scoot-paper"]
        parts += [f"### {group}", "", _scores_table(entries)]
        pairs = comparison.pairs(group)
        if pairs:
            parts += [f"`{comparison.subject}` against each, on the same cases:", ""]
            costly = any(pair.at_cost is not None for pair in pairs)
            rows = [
                (
                    f"{pair.theirs.sampler} ({pair.theirs.mode})",
                    str(pair.n_cases),
                    str(pair.difference),
                    str(pair.wins),
                    _trial(pair.median_trial),
                    _trial(pair.curve_trial),
                    *([str(pair.at_cost or "")] if costly else []),
                )
                for pair in pairs
            ]
            headings = ("peer", "cases", "difference", "win rate", "median trial", "mean's trial")
            costs = ("at cost",) if costly else ()
            parts += [markdown_table((*headings, *costs), rows)]
    parts += [
        "*Median trial*: median over the cases of the trial at which our run reaches the peer's "
        "last score on that case. *Mean's trial*: where our mean curve reaches the peer's last "
        "mean score. *Known*: suggestions that violated a known constraint. *Seconds*: of one "
        "suggestion, several processes sharing the machine.",
        "",
    ]
    if any(entry.spending is not None for entry in comparison.entries):
        parts += [_COSTS]
    return "\n".join(parts)


def _scores_table(entries: Sequence[Entry]) -> str:
    headings = ("sampler", "mode", "runs", "at 10", "at 20", "at the end", "crash share")
    costly = any(entry.spending is not None for entry in entries)
    rows = [
        (
            entry.sampler,
            entry.mode,
            str(len(entry.cases)),
            f"{entry.at(10):.3f}",
            f"{entry.at(20):.3f}",
            str(bootstrap_mean(entry.curves[:, -1])),
            f"{entry.crashes.mean():.3f}",
            str(entry.n_known_violations),
            f"{entry.seconds.mean():.3f}",
            str(len(entry.errors)),
            *(costs_shown(entry) or (("", "") if costly else ())),
        )
        for entry in entries
    ]
    costs = ("cost", "at cost") if costly else ()
    return markdown_table((*headings, "known", "seconds", "errors", *costs), rows)


def _trial(trial: float) -> str:
    return f"{trial:g}" if np.isfinite(trial) else "never"


def _losses(comparison: Comparison) -> str:
    """Return the problems on which some peer is ahead."""
    rows: list[tuple[str, ...]] = []
    for group in comparison.groups:
        for problem, entries in comparison.by_problem(group).items():
            if len(entries) < 2 or entries[0].sampler != comparison.subject:
                continue
            ours, best = entries[0], entries[1]
            pair = paired(ours, best)
            if pair is not None and best.final > ours.final:
                name = f"{best.sampler} ({best.mode})"
                score = f"{ours.final:.3f}"
                theirs = f"{best.final:.3f}"
                rows.append((problem, group, name, score, theirs, str(pair.difference)))
    headings = ("problem", "family", "best peer", "ours", "theirs", "difference")
    body = markdown_table(headings, rows) if rows else "None.\n"
    return f"## Problems on which `{comparison.subject}` loses to a peer\n\n{body}"


def _problems(comparison: Comparison) -> str:
    """Return the mean last scores, problem by problem."""
    parts = ["## Problem by problem", "", "Mean score after the last trial.", ""]
    for group in comparison.groups:
        table = comparison.by_problem(group)
        samplers = sorted({e.sampler for entries in table.values() for e in entries})
        samplers.sort(key=lambda name: name != comparison.subject)
        rows = [
            (problem, *(_final(entries, sampler) for sampler in samplers))
            for problem, entries in table.items()
        ]
        parts += [f"### {group}", "", markdown_table(("problem", *samplers), rows)]
    return "\n".join(parts)


def _final(entries: Sequence[Entry], sampler: str) -> str:
    return next((f"{e.final:.3f}" for e in entries if e.sampler == sampler), "")


def _variants(comparison: Comparison) -> str:
    """Return what each ablation loses against the whole, family by family."""
    rows: list[tuple[str, ...]] = []
    for group in comparison.groups:
        ours = comparison.subject_entry(group)
        for entry in comparison.variants(group):
            pair = paired(entry, ours) if ours is not None else None
            if pair is not None:
                crashes = f"{entry.crashes.mean():.3f}"
                score = f"{entry.final:.3f}"
                rows.append((entry.sampler, group, score, str(pair.difference), crashes))
    if not rows:
        return ""
    rows.sort(key=lambda row: row[0])
    headings = ("variant", "family", "score", f"less {comparison.subject}'s", "crash share")
    return "## Ablations and variants\n\n" + markdown_table(headings, rows)


def _batches(comparison: Comparison) -> str:
    """Return several suggestions at a time against one, at equal numbers of observations."""
    rows: list[tuple[str, ...]] = []
    for (group, sampler, batch), entry in comparison.best.items():
        single = comparison.best.get((group, sampler, 1))
        pair = paired(entry, single) if single is not None and batch > 1 else None
        if pair is not None:
            # The ratio is of common cases: one at a time was mostly run on more of them.
            score, ratio = f"{entry.final:.3f}", f"{pair.ratio:.3f}"
            rows.append((sampler, group, str(batch), score, str(pair.difference), ratio))
    if not rows:
        return ""
    headings = ("sampler", "family", "batch", "score", "less one at a time", "ratio")
    return "## Several suggestions at a time\n\n" + markdown_table(headings, rows)


def _modes(comparison: Comparison) -> str:
    """Return every mode of every peer."""
    rows = [
        (
            entry.sampler,
            entry.group,
            entry.mode,
            f"{entry.final:.3f}",
            f"{entry.crashes.mean():.3f}",
        )
        for entry in comparison.entries
        if entry.batch == 1 and entry.sampler in {e.sampler for e in comparison.peers(entry.group)}
    ]
    headings = ("sampler", "family", "mode", "score", "crash share")
    return "## Every mode of every peer\n\n" + markdown_table(headings, rows)
