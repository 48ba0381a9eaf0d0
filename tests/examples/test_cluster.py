"""The templates for clusters: valid, consistent, and run as far as one machine can.

Workers are real, on the simulated engine; PostgreSQL and the proxy are real. In place of what is
not there stand the environment that SLURM sets, an ``ssh`` that runs its command here, and the
schemas of Kubernetes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from objectives.engines.containers import container_fault
from objectives.engines.containers import host_path
from objectives.engines.ports import choose_port
from optuna_scoot.cli.errors import EXIT_BAD_INPUT
from optuna_scoot.cli.errors import EXIT_LIMITS_MISSED
from optuna_scoot.cli.signals import EXIT_INTERRUPTED
from optuna_scoot.tuning.audit import audit
from optuna_scoot.tuning.storage import load_study
from tests.postgres import Postgres
from tests.postgres import temporary_server


CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"
SCRIPTS = sorted(CLUSTER.glob("*.sh"))
MANIFESTS = sorted(CLUSTER.glob("*.yaml"))
OLDEST_KUBERNETES = "1.31"
BIN = Path(sys.executable).parent
SIMULATED = ["--engine=simulated", "--service=sql-2xa10-7b", "--duration=5", "--sampler=random"]
N_TRIALS = 5
TUNED = [*SIMULATED, f"--trials={N_TRIALS}", "--study=s"]


def environment(**variables: str) -> dict[str, str]:
    """The environment of a machine that has optuna-scoot."""
    kept = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **variables}


def check_study(storage: str) -> None:
    """The workers left a whole study."""
    assert [
        check.name for check in audit(load_study(storage, "s"), N_TRIALS) if not check.holds
    ] == []


def run_all(processes: list[subprocess.Popen[str]]) -> str:
    """Wait for workers, of which each has to end well, and return what they said."""
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return "".join(said)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_have_no_fault_that_shellcheck_knows(script: Path) -> None:
    done = subprocess.run([BIN / "shellcheck", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


def start_task(folder: Path, number: int, *options: str) -> subprocess.Popen[str]:
    """Start a task of the array as SLURM does."""
    return subprocess.Popen(
        [CLUSTER / "slurm.sh", *options],
        env=environment(SLURM_SUBMIT_DIR=str(folder), SLURM_ARRAY_TASK_ID=str(number)),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_tasks_of_a_slurm_array_make_one_study_in_the_folder_they_were_submitted_from(
    tmp_path: Path,
) -> None:
    said = run_all([start_task(tmp_path, number, *TUNED) for number in range(2)])
    assert "worker 0 on" in said
    assert "worker 1 on" in said
    check_study(f"journal:{tmp_path}/optuna-scoot.log")
    assert (tmp_path / "runs" / "s" / "best.yaml").exists()


def test_slurms_signal_before_the_end_reaches_the_worker(tmp_path: Path) -> None:
    task = start_task(tmp_path, 0, *SIMULATED, "--trials=2000", "--study=s")
    assert task.stdout is not None
    for line in task.stdout:
        if "trial 0: " in line:
            break
    task.send_signal(signal.SIGTERM)
    said, _ = task.communicate(timeout=60)
    assert task.returncode == EXIT_INTERRUPTED, said
    assert "everything is kept" in said


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Two hosts, with homes of their own, that ssh leads to; the environment to call it in."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        '#!/bin/bash\nif [ "$1" = -n ]; then shift; exec </dev/null; fi\n'
        f"export HOME={tmp_path}/$1\ncd ~ || exit 255\nunset OPTUNA_SCOOT_STORAGE\n"
        'exec bash -c "$2"\n'
    )
    ssh.chmod(0o755)
    for host in ("node1", "node2"):
        (tmp_path / host).mkdir()
        (tmp_path / host / ".bash_profile").write_text(f"export PATH={BIN}:$PATH\n")
    variables = environment(OPTUNA_SCOOT_STORAGE=f"sqlite:///{tmp_path}/scoot.db")
    variables["PATH"] = f"{ssh.parent}{os.pathsep}{variables['PATH']}"
    yield variables
    for pid in tmp_path.glob("node*/optuna-scoot/pid"):
        try:
            os.kill(int(pid.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            continue


def over_ssh(hosts: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CLUSTER / "ssh.sh", *words], env=hosts, capture_output=True, text=True, timeout=60
    )


def wait_for_line(log: Path, line: str) -> None:
    ends = time.monotonic() + 60
    while not (log.exists() and line in log.read_text()):
        assert time.monotonic() < ends, log.read_text() if log.exists() else "no log"
        time.sleep(0.1)


def test_workers_over_ssh_make_one_study_with_options_as_they_were_given(
    hosts: dict[str, str], tmp_path: Path
) -> None:
    words = [*TUNED, "--constraint", "max_num_seqs <= 512"]
    done = over_ssh(hosts, "start", "node1 node2", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "node1: started\nnode2: started\n"
    for host in ("node1", "node2"):
        wait_for_line(tmp_path / host / "optuna-scoot" / "worker.log", "written: ")
    check_study(f"sqlite:///{tmp_path}/scoot.db")
    result = json.loads((tmp_path / "node1/optuna-scoot/runs/s/result.json").read_text())
    assert result["options"]["constraints"] == ["max_num_seqs <= 512"]
    assert "node2: written: " in over_ssh(hosts, "tail", "node1 node2").stdout


def test_workers_over_ssh_are_stopped_and_no_second_one_starts_on_a_host(
    hosts: dict[str, str], tmp_path: Path
) -> None:
    words = ["node1", *SIMULATED, "--trials=2000", "--study=s"]
    assert over_ssh(hosts, "start", *words).returncode == 0
    log = tmp_path / "node1" / "optuna-scoot" / "worker.log"
    wait_for_line(log, "trial 0: ")
    again = over_ssh(hosts, "start", *words)
    assert again.returncode == 1
    assert "a worker runs here already\nnode1: not started\n" in again.stderr
    assert over_ssh(hosts, "stop", "node1").stdout == "node1: stopped\n"
    wait_for_line(log, "everything is kept")


@pytest.mark.parametrize("gpus", ["", "2,3"])
def test_the_engines_container_is_one_that_tune_takes(tmp_path: Path, gpus: str) -> None:
    model = tmp_path / "my models" / "llama"
    model.mkdir(parents=True)
    command = tmp_path / "optuna-scoot"
    command.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    command.chmod(0o755)
    variables = environment(CUDA_VISIBLE_DEVICES=gpus)
    variables["PATH"] = f"{tmp_path}{os.pathsep}{variables['PATH']}"
    words = [CLUSTER / "docker.sh", model, "--trace", "bot"]
    said = subprocess.run(words, env=variables, capture_output=True, text=True, check=True).stdout
    given = json.loads(said)
    engine = shlex.split(given[given.index("--engine-command") + 1])
    inside = given[given.index("--model") + 1]
    assert given[-2:] == ["--trace", "bot"]
    assert container_fault(engine) is None
    assert host_path(engine, inside) == model
    assert engine[engine.index("--gpus") + 1] == ('"device=2,3"' if gpus else "all")


def resources(*names: str) -> list[dict[str, Any]]:
    """What manifests hold."""
    paths = [CLUSTER / name for name in names] or MANIFESTS
    return [found for path in paths for found in yaml.safe_load_all(path.read_text())]


def find(kind: str, name: str) -> dict[str, Any]:
    return next(r for r in resources() if (r["kind"], r["metadata"]["name"]) == (kind, name))


def pod_of(resource: dict[str, Any]) -> dict[str, Any]:
    """The pod that a resource makes."""
    found: dict[str, Any] = resource["spec"]["template"]
    return found


def pods() -> list[dict[str, Any]]:
    return [
        pod_of(r) for r in resources() if "template" in r["spec" if "spec" in r else "metadata"]
    ]


@pytest.mark.parametrize(
    "resource", resources(), ids=lambda r: f"{r['kind']}-{r['metadata']['name']}"
)
def test_manifests_are_what_kubernetes_takes(resource: dict[str, Any]) -> None:
    for version in (OLDEST_KUBERNETES, kubernetes_validate.latest_version()):
        kubernetes_validate.validate(resource, version, strict=True)


def test_what_manifests_refer_to_is_in_them() -> None:
    secret = find("Secret", "optuna-scoot")["stringData"]
    for pod in pods():
        spec = pod["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            for variable in container.get("env", []):
                ref = variable.get("valueFrom", {}).get("secretKeyRef")
                assert ref is None or ref.get("optional") or ref["key"] in secret
    labels = [pod["metadata"]["labels"] for pod in pods()]
    for service in (r for r in resources() if r["kind"] == "Service"):
        assert service["spec"]["selector"] in labels
    policy = find("NetworkPolicy", "optuna-scoot-proxy")["spec"]
    assert policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"] in labels
    place = re.fullmatch(r"postgresql\+psycopg://scoot:(.+)@(.+)/scoot", secret["storage"])
    assert place is not None
    assert place[1] == secret["password"]
    find("Service", place[2])


def test_nothing_runs_as_root_or_can_become_it() -> None:
    assert len(pods()) == 3
    for pod in pods():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
    image = (CLUSTER / "Dockerfile").read_text()
    job = find("Job", "optuna-scoot")
    assert f"USER {pod_of(job)['spec']['securityContext']['runAsUser']}\n" in image


def test_the_job_ends_for_what_no_other_worker_can_do_better() -> None:
    rules = find("Job", "optuna-scoot")["spec"]["podFailurePolicy"]["rules"]
    assert rules[0]["action"] == "FailJob"
    assert rules[0]["onExitCodes"]["values"] == [EXIT_BAD_INPUT, EXIT_LIMITS_MISSED]


def test_the_images_torch_is_the_one_of_the_makefile() -> None:
    version = re.search(
        r"^TORCH_VERSION := (.+)$", (CLUSTER.parents[1] / "Makefile").read_text(), re.M
    )
    assert version is not None
    assert f"'torch=={version[1]}+cpu'" in (CLUSTER / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with temporary_server() as found:
        yield found


def command_of(resource: dict[str, Any], **instead: str) -> list[str]:
    """A container's command with other values of some options, and the simulated engine."""
    command: list[str] = pod_of(resource)["spec"]["containers"][0]["command"]
    words = []
    for word in command:
        name, _, value = word.removeprefix("--").partition("=")
        if name in ("model", "trace", "rate"):
            continue
        words.append(f"--{name}={instead[name]}" if value and name in instead else word)
    return words if "proxy" in words else [*words, *SIMULATED]


def test_pods_of_the_job_make_one_study_in_postgresql_and_behind_the_proxy(
    server: Postgres, tmp_path: Path
) -> None:
    database = server.new_database("kubernetes")
    port = choose_port("127.0.0.1")
    serve = command_of(find("Deployment", "optuna-scoot-proxy"), host="127.0.0.1", port=str(port))
    proxy = subprocess.Popen(
        serve, env=environment(OPTUNA_SCOOT_STORAGE=database), stdout=subprocess.PIPE, text=True
    )
    assert proxy.stdout is not None
    assert "listening" in proxy.stdout.readline()
    try:
        workers = []
        for i, storage in enumerate((database, f"grpc://127.0.0.1:{port}")):
            words = command_of(
                find("Job", "optuna-scoot"),
                trials=str(N_TRIALS),
                study="s",
                output=str(tmp_path / str(i)),
            )
            workers.append(
                subprocess.Popen(
                    words,
                    env=environment(OPTUNA_SCOOT_STORAGE=storage),
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        run_all(workers)
    finally:
        proxy.kill()
        proxy.communicate()
    check_study(database)
