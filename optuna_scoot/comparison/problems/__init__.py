"""What samplers are compared on."""
