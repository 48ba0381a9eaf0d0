"""Finished runs as scores, statistics, tables and pages."""
