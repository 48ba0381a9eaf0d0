"""Files of traces: their rows, their time stamps, and the public formats that are read."""
