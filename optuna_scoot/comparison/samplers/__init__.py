"""The samplers that are compared, and how each is told of a crash."""
