"""Known constraints: what is valid is known before any trial has run (paper, section IV-E3)."""
