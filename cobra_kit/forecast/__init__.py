"""What a recipe takes before it is run: parameters, memory, and the time on this machine."""
