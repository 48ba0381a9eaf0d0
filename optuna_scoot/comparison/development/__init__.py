"""What only the development of the sampler needs; not in the wheel."""
