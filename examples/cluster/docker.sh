#!/bin/bash
# A worker on this machine, whose engine is a container: a fresh one for every trial.
#
#   docker.sh /data/llama --trace bot --rate 5 --trials 30 --study chat
#
# The first word is the model's folder, what follows are options of `optuna-scoot tune`. GPUs are
# those of CUDA_VISIBLE_DEVICES, or all. VLLM_IMAGE names another image.

set -euo pipefail

model=$(realpath -- "${1:?folder of the model}")
shift
image=${VLLM_IMAGE:-vllm/vllm-openai:latest}
gpus=all
if [ -n "${CUDA_VISIBLE_DEVICES:-}" ]; then
  gpus="'\"device=$CUDA_VISIBLE_DEVICES\"'" # docker wants the quotes around a list
fi

exec optuna-scoot tune --model "/models/${model##*/}" --engine-command \
  "docker run --rm --init --gpus $gpus --ipc=host --network host -v '${model%/*}:/models:ro'
   -e VLLM_API_KEY -e HF_TOKEN $image" "$@"
