"""The sections, a file for each."""
