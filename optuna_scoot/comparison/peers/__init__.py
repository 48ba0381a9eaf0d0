"""The samplers that are compared, and the ways in which each is told of a crash."""
