"""Training rows, benchmark files and the embedded world `scenes`. Importing it loads no torch."""
