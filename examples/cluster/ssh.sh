#!/bin/bash
# One study by workers on several hosts, started over ssh; they go on when the connection ends.
#
#   export OPTUNA_SCOOT_STORAGE=postgresql+psycopg://scoot:PASSWORD@db/scoot
#   ssh.sh start "node1 node2" --model /models/llama --trace bot --rate 5 --trials 60 --study chat
#   ssh.sh tail  "node1 node2"
#   ssh.sh stop  "node1 node2"
#
# Every host needs optuna-scoot on the PATH of a login shell and the model under the same path. A
# worker's log and results lie in ~/optuna-scoot of its host. The storage travels through ssh's
# input, so that its password stands in no list of processes.

set -euo pipefail

action=${1:?start, tail or stop}
hosts=${2:?host names, in one word}
shift 2

start() {
  : "${OPTUNA_SCOOT_STORAGE:?the storage that all hosts reach}"
  local options remote failed=0
  options=$(printf '%q ' "$@")
  remote=$(printf '%q' "
    set -e
    read -r OPTUNA_SCOOT_STORAGE
    export OPTUNA_SCOOT_STORAGE
    mkdir -p ~/optuna-scoot
    cd ~/optuna-scoot
    if [ -e pid ] && kill -0 \"\$(cat pid)\" 2>/dev/null; then
      echo 'a worker runs here already' >&2
      exit 1
    fi
    nohup optuna-scoot tune $options >worker.log 2>&1 </dev/null &
    echo \$! >pid
  ")
  for host in $hosts; do
    # shellcheck disable=SC2029 # the options are this machine's
    if ssh "$host" "bash -lc $remote" <<<"$OPTUNA_SCOOT_STORAGE"; then
      echo "$host: started"
    else
      echo "$host: not started" >&2
      failed=1
    fi
  done
  return $failed
}

# on_each COMMAND: run it on each host, its lines with the host's name before them.
on_each() {
  for host in $hosts; do
    ssh -n "$host" "$1" 2>&1 | sed "s/^/$host: /"
  done
}

# shellcheck disable=SC2016 # what stands there is for the host
case $action in
start) start "$@" ;;
tail) on_each 'tail -n 5 ~/optuna-scoot/worker.log' ;;
stop) on_each 'kill -TERM "$(cat ~/optuna-scoot/pid)" && echo stopped' ;;
*)
  echo "$action: start, tail or stop" >&2
  exit 2
  ;;
esac
