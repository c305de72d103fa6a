"""A look at all of a recipe's training data before anything is trained: rows, texts, images, and what they share."""
