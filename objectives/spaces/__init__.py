"""Parameter spaces of engines: what may be tuned, what is known to be refused, and the default.

The paper tunes the nine parameters of its Table I, which do not change what the model answers:
those of vLLM 0.5 and before (``paper_space``). In a current vLLM two of them are gone, two known
constraints are the same and one is not; ``vllm_space`` asks the installed engine. Each other
engine has a file of its own here.
"""

from objectives.spaces.changes import change
from objectives.spaces.changes import parse_change
from objectives.spaces.paper import BOOLEAN
from objectives.spaces.paper import paper_space
from objectives.spaces.server import assemble
from objectives.spaces.sglang import sglang_space
from objectives.spaces.space import EngineSpace
from objectives.spaces.space import Parameter
from objectives.spaces.space import SpaceError
from objectives.spaces.space import suggest
from objectives.spaces.tensor_parallel import least_tensor_parallel
from objectives.spaces.tensor_parallel import powers_of_two
from objectives.spaces.tensor_parallel import tensor_parallel_sizes
from objectives.spaces.trtllm import trtllm_space
from objectives.spaces.vllm import TUNABLE
from objectives.spaces.vllm import vllm_space


__all__ = [
    "BOOLEAN",
    "TUNABLE",
    "EngineSpace",
    "Parameter",
    "SpaceError",
    "assemble",
    "change",
    "least_tensor_parallel",
    "paper_space",
    "parse_change",
    "powers_of_two",
    "sglang_space",
    "suggest",
    "tensor_parallel_sizes",
    "trtllm_space",
    "vllm_space",
]
