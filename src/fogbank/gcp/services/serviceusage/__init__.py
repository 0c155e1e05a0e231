"""Service Usage: which APIs a project has switched on. Here each that fogbank serves is, from the beginning."""
