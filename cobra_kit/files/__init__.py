"""Files and folders that are whole or absent, JSON lines that survive a kill, and where caches are."""

from __future__ import annotations

from cobra_kit.files.caches import caches_beneath, can_be_written, expanded, user_cache
from cobra_kit.files.folders import contents, folder_beside, put_folder, remove_leftovers, replace_folder
from cobra_kit.files.json_lines import (
    append_json_lines,
    append_whole,
    cut_torn_line,
    newest_json_lines,
    read_json_lines,
)
from cobra_kit.files.writing import atomic_write, json_bytes, sync_folder, write_bytes, write_json, write_text

__all__ = [
    "append_json_lines",
    "append_whole",
    "atomic_write",
    "caches_beneath",
    "can_be_written",
    "contents",
    "cut_torn_line",
    "expanded",
    "folder_beside",
    "json_bytes",
    "newest_json_lines",
    "put_folder",
    "read_json_lines",
    "remove_leftovers",
    "replace_folder",
    "sync_folder",
    "user_cache",
    "write_bytes",
    "write_json",
    "write_text",
]
