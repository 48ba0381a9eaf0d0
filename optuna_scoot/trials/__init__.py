"""What the trials of an Optuna study say, as arrays.

outcomes     whether a trial says something about its parameters: a crash, or nothing
interrupts   what Optuna's loop knows of a trial's end and tells no sampler
reports      what pruned trials would have reached
history      all trials with their outcomes, and a trial's place in the start-up design
spaces       search spaces from what trials have asked for
fixed        what the user has fixed of a trial
sharing      points that workers show each other
name_check   names that no trial knows
reading      all of it as ``Observations``
"""
