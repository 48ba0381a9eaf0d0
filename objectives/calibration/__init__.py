"""The simulated engine fitted to measured runs of a real one."""
