"""Structured queries: what one asks (`shape`, `filters`), the way to it (`plan`), the answer (`run`), sums of it."""
