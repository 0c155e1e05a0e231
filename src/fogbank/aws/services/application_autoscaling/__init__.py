"""Application Auto Scaling: capacity that follows use, and the clock."""
