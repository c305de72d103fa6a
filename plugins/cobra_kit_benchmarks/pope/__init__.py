"""POPE: reader, prompts, protocols, result forms and rules."""
