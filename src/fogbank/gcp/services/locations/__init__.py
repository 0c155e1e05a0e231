"""Where things can be: the regions of this cloud, the same for every service."""
