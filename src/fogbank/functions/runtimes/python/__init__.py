"""Python: instances are forks of processes that have everything loaded already."""
