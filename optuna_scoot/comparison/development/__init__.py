"""What only the development of the sampler needs; a checkout has it, the wheel does not."""
