"""A study as an open BIDS dataset: anonymous, defaced, whole (docs/publish.md)."""
