"""One `bench run`: from a plan to trials of every device."""
