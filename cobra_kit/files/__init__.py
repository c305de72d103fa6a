"""Files that are whole or absent, read within limits and with digests; JSON lines that survive a kill; caches."""

from __future__ import annotations

from cobra_kit.files.caches import caches_beneath, can_be_written, code_cache, expanded, user_cache
from cobra_kit.files.folders import contents, folder_beside, put_folder, remove_leftovers, replace_folder
from cobra_kit.files.inside import inside, refuse_links_out
from cobra_kit.files.json_lines import (
    append_json_lines,
    append_whole,
    cut_torn_line,
    newest_json_lines,
    read_json_lines,
)
from cobra_kit.files.reading import (
    as_mapping,
    damage_as,
    decode_utf8,
    nested_deeper,
    parse_json,
    read_json,
    read_mapping,
    read_small,
    read_utf8,
    refuse_irregular,
)
from cobra_kit.files.sealed import (
    FileDigest,
    bytes_digest,
    check_file,
    check_seal,
    file_digest,
    is_sealed,
    read_sealed_json,
    seal,
    without_seal,
    write_sealed_json,
)
from cobra_kit.files.trust import Distrust, distrust, make_private
from cobra_kit.files.writing import atomic_write, json_bytes, sync_folder, write_bytes, write_json, write_text

__all__ = [
    "Distrust",
    "FileDigest",
    "append_json_lines",
    "append_whole",
    "as_mapping",
    "atomic_write",
    "bytes_digest",
    "caches_beneath",
    "can_be_written",
    "check_file",
    "check_seal",
    "code_cache",
    "contents",
    "cut_torn_line",
    "damage_as",
    "distrust",
    "decode_utf8",
    "expanded",
    "file_digest",
    "folder_beside",
    "inside",
    "is_sealed",
    "json_bytes",
    "make_private",
    "nested_deeper",
    "newest_json_lines",
    "parse_json",
    "put_folder",
    "read_json",
    "read_json_lines",
    "read_mapping",
    "read_sealed_json",
    "read_small",
    "read_utf8",
    "refuse_irregular",
    "refuse_links_out",
    "remove_leftovers",
    "replace_folder",
    "seal",
    "sync_folder",
    "user_cache",
    "without_seal",
    "write_bytes",
    "write_json",
    "write_sealed_json",
    "write_text",
]
