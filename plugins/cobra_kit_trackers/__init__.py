"""Trackers: what is told about every event of a study, and keeps it where people look."""
