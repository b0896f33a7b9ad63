"""The mismatch benchmark: which analysis breaks when the scanner misbehaves."""
