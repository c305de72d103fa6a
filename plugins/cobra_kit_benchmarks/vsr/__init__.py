"""VSR (zero-shot): reader, prompts, protocols, result forms and rules."""
