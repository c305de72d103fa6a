"""Public data sets: which there are, what of one is here, fetching the rest, checked, or saying what to put where."""
