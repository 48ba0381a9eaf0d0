"""Samplers compared at an equal budget on crash-prone and ordinary problems."""
