"""The execution of a study: from a plan to finished runs."""
