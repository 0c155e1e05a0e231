"""Eventarc: triggers, which carry events of other services to functions and other addresses as CloudEvents."""
