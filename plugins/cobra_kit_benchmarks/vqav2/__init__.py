"""VQAv2: reader, prompts, protocols, result forms and rules."""
