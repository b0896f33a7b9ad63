"""Percent change of metabolites with their errors, and what should not change."""
