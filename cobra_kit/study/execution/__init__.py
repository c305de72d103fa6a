"""How a study is done: from a plan to finished runs."""
