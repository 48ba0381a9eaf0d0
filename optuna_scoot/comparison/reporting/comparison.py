"""A finished comparison: the entries from which tables, plots and the report are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from optuna_scoot.comparison.peers.scoot import is_scoot
from optuna_scoot.comparison.reporting.statistics import Paired
from optuna_scoot.comparison.reporting.statistics import paired
from optuna_scoot.comparison.reporting.summary import Entry
from optuna_scoot.comparison.reporting.summary import best_modes
from optuna_scoot.comparison.reporting.summary import group_runs
from optuna_scoot.comparison.running.runs import Run


@dataclass(frozen=True)
class Comparison:
    """Runs, and the sampler that they are about.

    Attributes:
        runs: PeerMode asked for, and run.
        subject: The sampler that is compared with the others.
    """

    runs: Sequence[tuple[str, Run]]
    subject: str = "scoot"

    @cached_property
    def entries(self) -> list[Entry]:
        """Return every sampler in every mode, by family."""
        return sorted(
            group_runs(self.runs).values(),
            key=lambda entry: (entry.group, entry.sampler, entry.batch, entry.mode),
        )

    @cached_property
    def best(self) -> dict[tuple[str, str, int], Entry]:
        """Return the best mode of each sampler in each family, best sampler first."""
        return best_modes(self.entries)

    def shown(self, *, by_problem: bool = False, all_modes: bool = False) -> list[Entry]:
        """Return the entries of a table.

        Args:
            by_problem: One group a problem rather than a family.
            all_modes: Every mode, not the best of each sampler alone.
        """
        if not by_problem:
            return self.entries if all_modes else list(self.best.values())
        entries = list(group_runs(self.runs, by_problem=True).values())
        return entries if all_modes else list(best_modes(entries).values())

    @property
    def groups(self) -> list[str]:
        """Return the families that were run, in their order."""
        return list(dict.fromkeys(group for group, _, _ in self.best))

    def subject_entry(self, group: str, batch: int = 1) -> Entry | None:
        """Return the subject's runs in a family."""
        return self.best.get((group, self.subject, batch))

    def peers(self, group: str) -> list[Entry]:
        """Return the other samplers in their best modes, one suggestion at a time, best first."""
        return [
            entry
            for (family, sampler, batch), entry in self.best.items()
            if family == group and batch == 1 and not is_scoot(sampler) and sampler != self.subject
        ]

    def variants(self, group: str) -> list[Entry]:
        """Return the subject's variants and ablations, one suggestion at a time, best first."""
        return [
            entry
            for (family, sampler, batch), entry in self.best.items()
            if family == group and batch == 1 and is_scoot(sampler) and sampler != self.subject
        ]

    def pairs(self, group: str) -> list[Paired]:
        """Return the subject against each peer in a family, best peer first."""
        ours = self.subject_entry(group)
        if ours is None:
            return []
        found = (paired(ours, theirs) for theirs in self.peers(group))
        return [pair for pair in found if pair is not None]

    def by_problem(self, group: str) -> dict[str, list[Entry]]:
        """Return the family's entries problem by problem: subject first, then peers, best first.

        A peer's mode is the one that is best in the whole family.
        """
        chosen = {(e.sampler, e.mode) for e in self.peers(group)}
        ours = self.subject_entry(group)
        if ours is not None:
            chosen.add((ours.sampler, ours.mode))
        wanted = [
            (mode, run)
            for mode, run in self.runs
            if (run.key.sampler, mode) in chosen and run.key.batch == 1
        ]
        entries = list(group_runs(wanted, by_problem=True).values())
        names = {problem for e in self.entries if e.group == group for problem, _ in e.cases}
        return {
            name: sorted(
                (e for e in entries if e.group == name),
                key=lambda e: (e.sampler != self.subject, -e.final),
            )
            for name in sorted(names)
        }
