"""Messages that reveal why an engine ended.

They are those of vLLM 0.4 to 0.32, of SGLang 0.5 and TensorRT-LLM 1, and of what these run on:
PyTorch, CUDA, ROCm, NCCL, Ray, the model hub, containers, the shell. The order of the tables
matters: the first match decides.
"""

from __future__ import annotations

import re
import signal

from objectives.engines.base import ExternalReason


# Exceptions that only say that another one happened.
WRAPPERS = re.compile(
    r"Engine core initialization failed|EngineDeadError|See stack trace|See root cause"
    r"|\d+ validation errors? for |AsyncEngineDeadError|^concurrent\.|Engine process failed"
    r"|WorkerProc initialization failed|Executor failed|ChildFailedError|ProcessRaisedException"
    r"|^ray\.exceptions\.RayTaskError|^SystemExit|^KeyboardInterrupt|CancelledError"
    r"|^Engine core proc |failed core proc"
)
# Exceptions of a process whose peer has ended.
ECHOES = re.compile(
    r"ConnectionResetError|BrokenPipeError|EOFError|ConnectionRefusedError"
    r"|Connection closed by peer"
    r"|ncclRemoteError|remote process exited|ncclSystemError|unhandled system error"
    r"|ActorDiedError|RayActorError|WorkerCrashedError|died unexpectedly|'/(psm|nccl-|sem\.)"
)
# What a process says of a signal that ends it, where no exception is.
FATAL_SIGNAL = re.compile(r"^.*(?:Segfault encountered|Fatal Python error: ).*$", re.MULTILINE)
WORKER_WRAPPER = re.compile(
    r"Worker failed with error (?P<quote>['\"])(?P<cause>.*?)(?P=quote), please check the stack"
    r" trace.*",
    re.DOTALL,
)
_CONFIG_OF_PARAMETERS = r"(?:Vllm|Scheduler|Cache|Parallel|Engine|AsyncEngine)"

# About the surroundings, independent of what is tuned.
EXTERNAL: tuple[tuple[str, ExternalReason], ...] = (
    (
        r"address already in use|EADDRINUSE|port \d+ is (already )?(in use|allocated)"
        r"|port is already allocated",
        ExternalReason.PORT_TAKEN,
    ),
    (
        r"Error in memory profiling"
        r"|(all CUDA-capable devices|CUDA-capable device\(s\)) (are|is/are) busy",
        ExternalReason.DEVICE_BUSY,
    ),
    (
        r"No module named '?vllm|No package metadata was found for vllm"
        r"|PackageNotFoundError: vllm|^ModuleNotFoundError|^ImportError"
        r"|error while loading shared libraries|cannot open shared object file"
        r"|version [`'](GLIBC|CXXABI|GLIBCXX)\w*\S*' not found|undefined symbol"
        r"|failed to open lib|compiled with different CUDA|operator torchvision::|_OpNamespace"
        r"|Torch not compiled with CUDA|not compiled with CUDA enabled"
        r"|(is|are) not installed\b|please (pip )?install |failed to be inspected"
        r"|can't open file '|Illegal instruction|exec format error|executable file not found"
        r"|^(\S*/|-)?(ba|da|z|k)?sh: .*: (command )?not found|^\S*(\.sh|exec): .*not found"
        r"|^\S+: (line )?\d+: .*No such file or directory|^env: .*No such file or directory"
        r"|Not a conda environment|Failed to spawn",
        ExternalReason.ENGINE_MISSING,
    ),
    (
        r"No space left on device|os error 28\b|Errno 28\b|Disk quota exceeded"
        r"|Read-only file system"
        r"|PermissionError|Permission denied|Errno (13|30|122)\b|Input/output error"
        r"|Stale file handle|(Device or resource|Text file) busy|file lock"
        r"|database or disk is full|File too large|not enough free disk space"
        r"|^FileNotFoundError(?!.*'/(psm|nccl|sem))|^(IsA|NotA)DirectoryError",
        ExternalReason.FILE_SYSTEM,
    ),
    (
        r"\b(429|50[0234]) (Client|Server) Error|Too Many Requests|\b(429|50[0234])\b.* for url"
        r"|Service Unavailable|Bad Gateway|Gateway Time-?out|Max retries exceeded"
        r"|HTTPS?ConnectionPool|^requests\.exceptions\.(Connect|Read|SSL|Proxy|Chunked|Timeout)\w*"
        r"|^urllib3\.exceptions|^http(x|core)\.\w*(Connect|Read|Write|Timeout|Protocol|Proxy|Network)"
        r"|^aiohttp\.client_exceptions|CERTIFICATE_VERIFY_FAILED|ProxyError|RemoteDisconnected"
        r"|IncompleteRead|name resolution|Name or service not known|nodename nor servname"
        r"|^urllib\.error|^ssl\.SSL|couldn't connect to ['\"]?http|specific connection error"
        r"|CAS service error"
        r"|^botocore\.exceptions|^google\.auth\.exceptions|Network is unreachable"
        r"|No route to host",
        ExternalReason.HUB_UNREACHABLE,
    ),
    (
        r"HFValidationError|RepositoryNotFoundError|LocalEntryNotFoundError|Gated ?Repo"
        r"|RevisionNotFoundError|EntryNotFoundError|OfflineModeIsEnabled|BadRequestError"
        r"|Invalid repository ID or local directory|HfHubHTTPError|DisabledRepoError"
        r"|\b40[134] Client Error|not a valid model identifier|Can't load tokenizer"
        r"|Couldn't instantiate the backend tokenizer|does not appear to have a file named"
        r"|Can't load the configuration of|Unrecognized model in|Cannot find any model weights"
        r"|gated repo|SafetensorError|invalid load key|PytorchStreamReader"
        r"|untagged enum|JSONDecodeError|no module or parameter named|loading state_dict"
        r"|does not recognize this architecture|[Mm]odel architectures? .* (are|is) not supported"
        r"|has no vLLM implementation|contains custom code|No adapter found for"
        r"|Tokenizer class \S+ does not exist|No (safetensors|model) weights"
        r"|not a valid git identifier"
        r"|weights were not initialized from checkpoint|Error no file named"
        r"|Incorrect path_or_model_id|Unable to load weights"
        r"|Could not detect config format|Failed to load mistral"
        r"|Cannot find the config file for|Access to model .* is restricted"
        r"|couldn't find any model|modelscope\S*NotExist|Consistency check failed",
        ExternalReason.NO_SUCH_MODEL,
    ),
    (
        r"driver on your system is too old|driver version is insufficient|NVMLError"
        r"|NVML/RM version|(Failed to|Can't) initialize NVML"
        r"|No CUDA GPUs are available|no CUDA-capable device|Found no NVIDIA driver|No HIP GPUs"
        r"|No accelerators?\b|CUDA is not available|requires (a )?reset"
        r"|No CUDA runtime is found|Failed to infer device type|uncorrectable|ECC error"
        r"|no kernel image is available|kernel image is invalid|unsupported toolchain"
        r"|forward compatibility was attempted|CUDA unknown error|system not yet initialized"
        r"|system has unsupported display driver|GPU is lost|fallen off the bus"
        r"|Unable to determine the device handle|CUDA (driver )?initialization"
        r"|CUDA error: unknown error|cuda runtime error \(999\)"
        r"|CUDA error: initialization error|compute capability (at least|of at)"
        r"|not supported for the current GPU|requires (GPU )?compute capability"
        r"|hsa_init Failed|HSA_STATUS_ERROR_NOT_INITIALIZED|Unable to open /dev/kfd|/dev/nvidia"
        r"|ROCk module is NOT loaded|No (XPU|HPU|TPU|Intel GPU)s? (devices? )?(are|is) available"
        r"|Current node has no GPU|device kernel image|nvidia-smi has failed",
        ExternalReason.DEVICE_UNFIT,
    ),
    (
        r"^(docker|podman|nerdctl|docker-compose|apptainer|singularity|kubectl|crictl|enroot): "
        r"|Error response from daemon|Docker daemon|OCI runtime|nvidia-container-cli"
        r"|could not select device driver|CDI device|CDI spec|ImagePull|manifest unknown"
        r"|manifest for \S+ not found|pull access denied|unable to find image"
        r"|input device is not a TTY|^Error: (short-name|initializing source|unable to|statfs"
        r"|creating container|crun|runc)|cannot connect to Podman|^sudo: |^ssh: "
        r"|^Error from server|error waiting for container"
        r"|^(slurmstepd|srun): error(?!.*(oom|memory))"
        r"|Unable to allocate resources",
        ExternalReason.CONTAINER_FAILED,
    ),
    (
        r"VLLM_(PORT|HOST_IP)\b|Too many open files|can't start new thread"
        r"|Resource temporarily unavailable|pthread_create|Thread creation failed"
        r"|Failed to find C compiler|No working C\+\+ compiler|InvalidCxxCompiler"
        r"|^subprocess\.CalledProcessError: Command .*(gcc|g\+\+|clang|nvcc|/cc\b|ninja)"
        r"|Cannot re-initialize CUDA in forked|Python\.h: No such file|^\w+: fatal error"
        r"|CUDA_HOME|Could not find nvcc|ninja\b"
        r"|out of shared memory|insufficient shared memory|shared memory segment"
        r"|shared memory object|allocate shared memory|shared memory\(shm\)|Bus error"
        r"|SIGBUS|exit ?code:? -7\b|uid not found|Operation not permitted(?! when)"
        r"|Cannot assign requested address|Errno 99\b"
        r"|no socket interface found|Duplicate GPU detected|^OMP: Error"
        r"|Address family not supported|gaierror|invalid literal for int\(\) with base 10: 'tcp:"
        r"|Could not find any running Ray|connect to (the )?(GCS|Ray)|Ray instance"
        r"|Version mismatch: The cluster|failed to register worker"
        r"|node timed out during startup|Memlock|RLIMIT|LD_LIBRARY_PATH"
        r"|^SyntaxError|unsupported locale",
        ExternalReason.ENVIRONMENT,
    ),
    (
        r"error: unrecognized arguments|error: the following arguments are required"
        r"|trust_remote_code|Unknown quantization method|Invalid attention backend"
        r"|can use float16 instead|^jinja2|invalid (tool call|reasoning) parser"
        r"|failed to be opened"
        r"|User-specified max_model_len|Too large swap space|max_lora_rank"
        r"|does not match the quantization method",
        ExternalReason.BAD_ENGINE_ARGUMENT,
    ),
)
HINTS = {
    ExternalReason.PORT_TAKEN: "another program took the engine's port",
    ExternalReason.ENGINE_MISSING: (
        "the engine, or something that it needs, is not installed there; name the interpreter or "
        "command of its environment"
    ),
    ExternalReason.NO_SUCH_MODEL: "the engine finds no such model or tokenizer, or cannot use it",
    ExternalReason.BAD_ENGINE_ARGUMENT: "the engine refuses an argument that is not tuned",
    ExternalReason.DEVICE_BUSY: "another program uses the device's memory",
    ExternalReason.FILE_SYSTEM: "the engine cannot read or write a file",
    ExternalReason.HUB_UNREACHABLE: (
        "the engine cannot reach the model's hub now (with HF_HUB_OFFLINE=1 it takes what it has "
        "loaded before)"
    ),
    ExternalReason.DEVICE_UNFIT: "the engine cannot use the device or its driver",
    ExternalReason.CONTAINER_FAILED: "the engine's container or job did not start",
    ExternalReason.ENVIRONMENT: "the engine's surroundings lack something",
}
OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemory|No available memory for the cache blocks"
    r"|larger than the available KV cache|larger than the maximum number of tokens that can be"
    r"|Cannot allocate memory|can't allocate|bad_alloc|^MemoryError"
    r"|less than desired (GPU|CPU) memory utilization"
    r"|Failed to (map|allocate) .*memory|out of (host|device|GPU|CPU) memory|ran out of memory"
    r"|(BLAS|DNN|SOLVER|SPARSE)\w*_STATUS_ALLOC_FAILED|BLAS_STATUS_NOT_INITIALIZED"
    r"|DEVICE_ALLOCATION_FAILED|rocblas_status_memory_error|ErrorMemoryAllocation"
    r"|ERROR_OUT_OF_RESOURCES|RESULT_ERROR_OUT_OF|OUT_OF_(HOST_|DEVICE_)?MEMORY"
    r"|RESOURCE_EXHAUSTED|Unable to allocate .* for an array|ArrayMemoryError"
    r"|running low on memory|due to memory pressure|OOM ?Killed|oom-kill|oom_kill"
    r"|Killed process \d+|NVML_SUCCESS ==|not enough (GPU |CPU |device |host )?memory"
    r"|insufficient (GPU |CPU |device |host )?memory|memory is insufficient"
    # sglang/srt/mem_cache/kv_cache_configurator.py, sglang/srt/model_executor/pool_configurator.py
    r"|leaves? no (GPU memory|room) for the|state cache is too small to serve",
    re.IGNORECASE,
)
# By signal 9, which the kernel sends where memory runs out, and anybody else may.
KILLED = re.compile(
    r"exit ?code:? (-9|137)\b|'EngineCore\w*': (-9|137)\b"
    r"|^Killed$|\b\d+ Killed\b|exited with code 137",
    re.IGNORECASE,
)
# SGLang's server kills itself and all its processes where one of them fails
# (sglang/srt/entrypoints/engine.py, ``launch_phase_sigquit_handler``): its signal 9 is its own.
KILLS_ITSELF = re.compile(r"Received sigquit from a child process|SIGQUIT received\.")
DEVICE_BUSY = re.compile(r"less than desired (GPU|CPU) memory utilization")
# About the number of GPUs: the user's, unless it is tuned.
GPU_COUNT = re.compile(
    r"invalid device ordinal|number of (available|required) GPUs|larger than the number of"
    r"|placement group|does not allocate any GPUs|total number of available GPUs",
    re.IGNORECASE,
)
CORE_TIMEOUT = re.compile(r"Timed out waiting for (new )?engine (core )?process")
BAD_ARGUMENT = re.compile(
    rf"error: argument |for (?!{_CONFIG_OF_PARAMETERS}(?:Config|Args)\b)\w+Config\b"
)
CORE_STARTED = re.compile(r"\(EngineCore[^)]*pid=|Starting to load model|Loading model weights")
# What follows this in a log is the consequence of a signal to the server.
SHUTDOWN = re.compile(r"\[shutdown\] API server: shutdown triggered|KeyboardInterrupt: terminated")
OF_BEING_STOPPED = re.compile(r"^(KeyboardInterrupt|SystemExit)|CancelledError")
ORDERLY_STOPS = {0, -signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT}
# What a shell or a container's runtime ends with where the program did not run at all.
NEVER_RAN = {
    125: ExternalReason.CONTAINER_FAILED,
    126: ExternalReason.ENGINE_MISSING,
    127: ExternalReason.ENGINE_MISSING,
}
BY_SIGNAL = {
    signal.SIGBUS: (
        ExternalReason.ENVIRONMENT,
        "ended by a bus error, as of too little shared memory: give a container --ipc=host or a "
        "larger --shm-size, or make room in /dev/shm",
    ),
    signal.SIGILL: (
        ExternalReason.ENGINE_MISSING,
        "ended by an illegal instruction: this build of the engine is for another processor",
    ),
}
