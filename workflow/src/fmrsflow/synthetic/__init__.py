"""The synthetic scanner: scans and whole studies whose truth is known."""
