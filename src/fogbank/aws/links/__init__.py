"""Arrows between services, one file each, named for its ends: the one kind of file that may know two services."""
