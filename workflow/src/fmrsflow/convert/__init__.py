"""Vendor files to FIDs: formats, the converter, checks, sidecars."""
