#!/bin/bash
# One study by an array of SLURM jobs: each task is a worker with GPUs of its own.
#
#   sbatch slurm.sh --model /models/llama --trace bot --rate 5 --trials 60 --study chat
#
# What follows the script's name are options of `optuna-scoot tune`, the same for all workers. The
# study is a journal in the folder that the job was submitted from, which all nodes have to share;
# OPTUNA_SCOOT_STORAGE names another storage. Submitting the same again goes on, with as many
# workers as there are then.
#
#SBATCH --job-name=optuna-scoot
#SBATCH --array=0-7
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=12:00:00
#SBATCH --output=%x-%A_%a.log
# Five minutes before the time is over the worker ends its engine and gives its trial back.
#SBATCH --signal=B:TERM@300

set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$PWD}"
export OPTUNA_SCOOT_STORAGE="${OPTUNA_SCOOT_STORAGE:-journal:$PWD/optuna-scoot.log}"

echo "worker ${SLURM_ARRAY_TASK_ID:-0} on $(hostname), GPUs: ${CUDA_VISIBLE_DEVICES:-as found}"
exec optuna-scoot tune "$@" # exec: SLURM's signal reaches the worker itself
