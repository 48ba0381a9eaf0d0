"""The table of faults of ``docs/reliability.md``: what happens, what follows, and the tests of it.

    python -m tests.faults            run the tests of every row and print the table
    python -m tests.faults --write    and put it into the page

Exits with 1 where a row does not hold. The tests are among those that the test command runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree


ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: python -m tests.faults --write -->\n", "<!-- end of faults -->\n"
_TUNING, _CLI = "tests/optuna_scoot/tuning", "tests/optuna_scoot/cli"
_ENGINES, _LOADGEN = "tests/objectives/engines", "tests/objectives/loadgen"


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        what: What happens.
        follows: What follows, in words.
        tests: Files with the names of tests, as ``file::one,another``.
    """

    what: str
    follows: str
    tests: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """Return the tests as pytest takes them."""
        pairs = (text.split("::") for text in self.tests)
        return [f"{file}::{name}" for file, names in pairs for name in names.split(",")]


FAULTS = {
    "Workers": (
        Fault(
            "a worker is killed (SIGKILL, out of memory), also inside the sampler",
            "its engine ends; its trial has its name from the first moment on: failed as"
            " `worker_lost` at the next look on this machine, elsewhere after a minute without a"
            " sign of life and half a minute's watch; it does not count, and what was enqueued"
            " runs again",
            (
                f"{_TUNING}/test_workers.py::test_what_was_lost_with_its_worker_is_made_up_for"
                "_and_the_default_runs_again",
                f"{_TUNING}/test_lost_trials.py::test_the_trial_of_a_killed_process_is_failed_at"
                "_once,test_a_worker_without_heartbeats_loses_its_trial_after_it_was_watched",
                f"{_ENGINES}/test_process.py::test_no_engine_outlives_its_worker,"
                "test_no_engine_outlives_a_killed_worker_whose_fork_holds_the_pipe",
            ),
        ),
        Fault(
            "the worker of the default configuration is lost",
            "the default runs again before anything else",
            (
                f"{_TUNING}/test_workers.py::test_what_was_lost_with_its_worker_is_made_up_for"
                "_and_the_default_runs_again",
            ),
        ),
        Fault(
            "one of several workers of a `--workers` command is killed",
            "its GPUs are free once its engine has gone; another worker takes its place",
            (
                f"{_CLI}/test_workers.py::test_a_killed_worker_is_replaced_and_its_trial_does_not"
                "_count",
                f"{_ENGINES}/test_gpu_pool.py::test_gpus_of_a_killed_worker_are_held_until_its"
                "_engine_has_gone",
            ),
        ),
        Fault(
            "the command of several workers is killed",
            "the workers end as by Ctrl-C, their engines too",
            (f"{_CLI}/test_workers.py::test_workers_of_a_killed_command_end_with_it",),
        ),
        Fault(
            "Ctrl-C, SIGTERM, SIGHUP",
            "the engine ends, the trial is `interrupted` and does not count, the result so far is"
            " shown; exit code 130, and no traceback",
            (
                f"{_CLI}/test_signals.py::test_nothing_shows_a_traceback_of_an_interrupt",
                f"{_TUNING}/test_deferred_interrupts.py::test_no_lock_is_left_wherever_a_call_is"
                "_interrupted",
                f"{_CLI}/test_main.py::test_interrupt_keeps_everything_prints_the_table_and"
                "_resumes",
                f"{_CLI}/test_early_interrupt.py::test_an_interrupt_while_the_command_loads_is_one"
                "_line",
                f"{_CLI}/test_workers.py::test_ctrl_c_ends_all_workers_with_their_engines_and"
                "_keeps_everything",
                f"{_TUNING}/test_loop.py::test_interrupt_while_a_suggestion_is_made_leaves_no"
                "_trial_running,test_ctrl_c_while_the_end_of_a_trial_is_stored_is_ctrl_c",
            ),
        ),
        Fault(
            "a second Ctrl-C",
            "workers end at once; their engines by their guardians",
            (f"{_CLI}/test_workers.py::test_ctrl_c_twice_ends_at_once_and_leaves_no_engine",),
        ),
        Fault(
            "several workers make the tables, the study or the default at once, or see room for"
            " the last trial",
            "there is one of each; surplus trials are given up before they have parameters"
            " (`surplus`)",
            (
                f"{_TUNING}/test_workers.py::test_any_number_of_workers_makes_exactly_the_trials"
                "_and_one_default",
            ),
        ),
    ),
    "Storage": (
        Fault(
            "a connection breaks, the database restarts, or is away for up to ten minutes",
            "workers go on measuring, wait, say so in one line, and store what they have measured"
            " then",
            (
                f"{_TUNING}/test_workers.py::test_an_outage_loses_no_measurement",
                f"{_TUNING}/test_patient_storage.py::test_calls_wait_longer_each_time_and_tell_of"
                "_an_outage_once,test_values_are_stored_once_though_the_answer_was_lost",
            ),
        ),
        Fault(
            "the proxy of `grpc://` is killed and started again",
            "the same",
            (
                f"{_TUNING}/test_workers.py::test_an_outage_of_a_proxy_or_of_what_is_behind_it"
                "_loses_no_measurement",
            ),
        ),
        Fault(
            "it is away for longer, or the worker is killed meanwhile",
            "what was measured is on the worker's disk, in `unstored` of the output folder; the"
            " next worker on this machine stores it, unless the trial was given up elsewhere; exit"
            " code 3",
            (
                f"{_TUNING}/test_workers.py::test_what_was_measured_in_an_outage_outlives_its"
                "_worker",
                f"{_TUNING}/test_worker_storage.py::test_what_was_measured_goes_before_a_failure"
                "_to_store_it,test_an_own_trial_takes_attributes_while_the_storage_is_away",
                f"{_TUNING}/test_patient_storage.py::test_an_outage_that_lasts_ends_in_its_error",
            ),
        ),
        Fault(
            "the storage is away when a worker starts",
            "one line, exit code 2",
            (
                f"{_TUNING}/test_storage.py::test_unusable_storage_is_one_line_without_secrets",
                f"{_TUNING}/test_proxies.py::test_what_answers_otherwise_than_a_proxy_is_refused_in"
                "_one_line_and_soon",
            ),
        ),
        Fault(
            "a record of a journal is cut off, by a full disk or a power failure",
            "the next one takes its remains away",
            (
                f"{_TUNING}/test_journals.py::test_a_record_that_was_cut_off_is_taken_away_by_the"
                "_next,test_a_record_for_which_the_disk_has_no_room_is_told_in_a_line",
            ),
        ),
        Fault(
            "a running trial has no worker's name, as one of an older version that was killed",
            "given up after it was watched for half a minute",
            (
                f"{_TUNING}/test_lost_trials.py::test_living_workers_keep_their_trials_and_what_is"
                "_nobodys_is_lost",
            ),
        ),
        Fault(
            "somebody else's study has the name",
            "refused with one line, and not touched",
            (
                f"{_TUNING}/test_comparable.py::test_a_study_of_somebody_elses_is_refused_and_not"
                "_touched",
            ),
        ),
    ),
    "Engines": (
        Fault(
            "somebody kills an engine (SIGKILL)",
            "the kernel counts what it has killed for lack of memory: where it has killed nothing"
            " since the engine's start, the trial is `interrupted` and does not count; where it"
            " has, or does not tell, it is a crash, `out_of_memory`; so is the death of a core"
            " process without a word (`died_under_load`)",
            (
                f"{_ENGINES}/test_kernel_report.py::test_an_engine_that_somebody_kills_under_load"
                "_teaches_nothing",
                f"{_ENGINES}/test_failures.py::test_signal_9_is_somebodys_where_the_kernel_says"
                "_that_it_was_not_its_own",
            ),
        ),
        Fault(
            "somebody ends an engine (exit code 0, SIGTERM, SIGINT)",
            "`interrupted`, one line; the trial does not count",
            (f"{_ENGINES}/test_vllm.py::test_interrupt_from_outside_under_load",),
        ),
        Fault(
            "an engine prints without end",
            "its log keeps the first 1 MB and the last 1 to 2 MB, and it never waits for the disk",
            (
                f"{_ENGINES}/test_vllm.py::test_output_without_end_keeps_no_server_from_serving",
                f"{_ENGINES}/test_bounded_log.py::test_the_file_is_never_larger_than_it_may_be",
            ),
        ),
        Fault(
            "an engine hangs under load",
            "after 60 s without a token, a line of output or an answer to a health request it is"
            " ended: a crash, `died_under_load`",
            (f"{_ENGINES}/test_vllm.py::test_server_without_a_sign_of_life_hangs",),
        ),
        Fault(
            "somebody stops an engine (SIGSTOP)",
            "after 60 s it is ended; the trial does not count",
            (
                f"{_ENGINES}/test_vllm.py::test_server_that_somebody_stopped_says_nothing_about"
                "_the_parameters,test_server_stopped_at_its_first_request_is_noticed",
            ),
        ),
        Fault(
            "an engine ignores SIGTERM, or leaves processes behind",
            "all of them are killed before the next trial begins",
            (
                f"{_ENGINES}/test_vllm.py::test_server_that_ignores_sigterm_is_killed",
                f"{_ENGINES}/test_process.py::test_stop_finds_a_grandchild_in_another_session,"
                "test_what_an_engine_leaves_behind_at_its_own_end_is_ended",
            ),
        ),
        Fault(
            "a killed engine cannot remove its sockets and its shared memory",
            "vLLM's sockets are in a folder that goes with the engine; Python's resource tracker,"
            " spared for two seconds, removes the memory",
            (
                f"{_ENGINES}/test_process.py::test_folder_of_an_engine_goes_with_it,"
                "test_shared_memory_of_a_killed_engine_is_removed",
            ),
        ),
        Fault(
            "another program takes the port, or answers on it",
            "another port, twice; a stranger is never measured",
            (
                f"{_ENGINES}/test_vllm.py::test_clash_after_the_choice_of_a_port_is_tried_again,"
                "test_stranger_on_the_port_is_never_measured",
            ),
        ),
        Fault(
            "the GPU's memory is not free yet",
            "the next engine waits for it, half a minute at most; then the trial is tried again",
            (
                f"{_ENGINES}/test_gpus.py::test_release_is_awaited_within_a_bound",
                f"{_TUNING}/test_loop.py::test_passing_failure_is_tried_again_with_the_same"
                "_configuration",
            ),
        ),
        Fault(
            "the default configuration, or every configuration, fails alike",
            "the surroundings are thought to be at fault: the run stops, and nothing is learnt",
            (
                f"{_TUNING}/test_suspicion.py::test_default_that_does_not_start_ends_the_run_and"
                "_teaches_nothing,test_configurations_that_fail_alike_when_none_ever_ran_end_the"
                "_run",
            ),
        ),
    ),
    "Machine": (
        Fault(
            "it stands still for minutes, and its trial is given up meanwhile",
            "the worker says so in one line and goes on with the next trial",
            (
                f"{_TUNING}/test_workers.py::test_a_worker_whose_trial_was_taken_for_lost_goes_on"
                "_with_the_next",
                f"{_ENGINES}/test_signs_of_life.py::test_time_for_which_this_process_was_stopped"
                "_does_not_count",
            ),
        ),
        Fault(
            "its clock jumps",
            "nothing is measured by it; workers that seem silent are watched before they are given"
            " up; a negative duration is no estimate",
            (
                f"{_TUNING}/test_pace.py::test_a_trial_during_which_the_clock_was_set_back_tells"
                "_no_time",
                f"{_TUNING}/test_lost_trials.py::test_a_worker_that_goes_on_while_it_is_watched"
                "_keeps_its_trial",
            ),
        ),
        Fault(
            "the disk of the logs is full",
            "one line; the trial does not count",
            (f"{_CLI}/test_preflight.py::test_log_that_does_not_fit_on_its_disk_is_no_crash",),
        ),
        Fault(
            "too few open files for the load",
            "the soft limit is raised; where that is not enough, one line before the first engine"
            " starts",
            (
                f"{_LOADGEN}/test_open_files.py::test_the_soft_limit_is_raised_where_it_helps,"
                "test_a_load_that_can_need_more_than_the_hard_limit_is_refused",
                f"{_CLI}/test_preflight.py::test_connections_that_cannot_be_had_are_told_before"
                "_the_first_engine",
            ),
        ),
        Fault(
            "answers broken on the way: resets, half streams, truncated JSON, 503 of a full queue,"
            " slow drips, what is no HTTP",
            "each fails its own request with its class of error; the run goes on",
            (
                f"{_LOADGEN}/test_connections.py::test_a_broken_answer_has_its_class_of_error,"
                "test_broken_answers_fail_no_other_request",
            ),
        ),
        Fault(
            "the load generator does not get the processor when it needs it",
            "what it adds is known; where that is too much of what is optimised, the trial is"
            " tried again, and nothing is learnt from it",
            (
                f"{_LOADGEN}/test_accuracy.py::test_the_own_share_of_a_run_is_what_it_adds_to_the"
                "_servers_latencies",
                "tests/objectives/test_serving.py::test_a_run_that_is_too_much_the_load_generators"
                "_own_is_a_bad_measurement_and_no_crash",
            ),
        ),
        Fault(
            "two studies in one output folder",
            "the second is refused before it begins",
            (
                f"{_CLI}/test_main.py::test_a_second_study_in_one_output_folder_is_refused_and_the"
                "_first_ones_files_stay",
            ),
        ),
    ),
}


def table(outcomes: dict[str, str] | None = None) -> str:
    """Return the table in Markdown.

    Args:
        outcomes: What became of the tests of a row, by its first column; None leaves them out.
    """
    lines = []
    for group, rows in FAULTS.items():
        lines += [f"\n| {group} | what follows | tests passed |", "|---|---|---|"]
        lines += [
            f"| {row.what} | {row.follows} | {(outcomes or {}).get(row.what, '')} |"
            for row in rows
        ]
    return "\n".join(lines) + "\n\n"


def run_tests() -> tuple[dict[str, str], bool]:
    """Run the tests of all rows, and return for each "12 of 12", and whether all passed."""
    rows = [row for group in FAULTS.values() for row in group]
    ids = list(dict.fromkeys(name for row in rows for name in row.ids))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *ids]
        subprocess.run(words, cwd=ROOT, check=False)
        cases = list(ElementTree.parse(report).iter("testcase"))
    passed: dict[str, list[bool]] = {}
    for case in cases:
        file = f"{case.get('classname', '').replace('.', '/')}.py"
        name = f"{file}::{case.get('name', '').partition('[')[0]}"
        passed.setdefault(name, []).append(len(case) == 0 or case.find("system-out") is case[0])
    outcomes = {}
    for row in rows:
        found = [one for name in row.ids for one in passed.get(name, [False])]
        outcomes[row.what] = f"{sum(found)} of {len(found)}"
    whole = all(n == of for n, _, of in (text.partition(" of ") for text in outcomes.values()))
    return outcomes, whole


def main() -> int:
    """Run as the module's docstring says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    outcomes, whole = run_tests()
    made = table(outcomes)
    print(made)
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}{made}{END}{after}", encoding="utf-8")
    return int(not whole)


if __name__ == "__main__":
    sys.exit(main())
