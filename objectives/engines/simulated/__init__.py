"""A discrete-event model of continuous batching in virtual time: always called simulated.

    hardware      published numbers of GPUs, links and models
    config        the engine's parameters and the combinations that it refuses
    memory        what is left for the KV cache; when memory runs out
    step_time     the roofline: how long one iteration takes
    kv_cache      blocks and shared prefixes
    sequence      one request, and when its tokens came
    scheduler     waiting and running queues of one replica
    cluster       replicas behind a router
    engine        the ``Engine`` protocol

``objectives.simulated_services`` offers the paper's services by name, and
``objectives.calibration`` fits the coefficients of the step time to runs of a real engine.
``docs/simulated-engine.md`` says what is modelled and what is not.
"""

from __future__ import annotations

from objectives.engines.simulated.engine import RunningSimulatedEngine
from objectives.engines.simulated.engine import SimulatedEngine


__all__ = ["RunningSimulatedEngine", "SimulatedEngine"]
