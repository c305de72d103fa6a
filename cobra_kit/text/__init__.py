"""Conversations to token ids, labels and layouts: tokenizers, prompt templates, encoding and collation."""
