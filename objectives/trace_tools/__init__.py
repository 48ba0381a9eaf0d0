"""What can be done with a trace: summarised, drawn, cut, scaled, anonymised, imitated."""
