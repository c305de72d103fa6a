"""The entries of Optuna's journal, read back: what it would stumble over is refused before it is replayed.

The operations and their fields were read in the version that `optuna_internals.READ_IN` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from cobra_kit.errors import DamagedFile
from cobra_kit.files import parse_json
from cobra_kit.files.checksums import has_checksum

_Check = Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _are_numbers(value: Any) -> bool:
    return value is None or (isinstance(value, list) and bool(value) and all(map(_is_number, value)))


def _are_directions(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(direction in (1, 2) for direction in value)


def _is_attribute(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1


def _is_time(value: Any) -> bool:
    return value is None or isinstance(value, str)


_STUDY: Final[dict[str, _Check]] = {"study_id": _is_whole}
_TRIAL: Final[dict[str, _Check]] = {"trial_id": _is_whole}
_WORKER: Final[dict[str, _Check]] = {"worker_id": _is_text}
_CREATE_TRIAL: Final = 4
_FIELDS: Final[dict[int, dict[str, _Check]]] = {
    0: {"study_name": _is_text, "directions": _are_directions},
    1: _STUDY,
    2: {**_STUDY, "user_attr": _is_attribute},
    3: {**_STUDY, "system_attr": _is_attribute},
    4: {**_STUDY, "datetime_start": _is_time},
    5: {**_TRIAL, "param_name": _is_text, "param_value_internal": _is_number, "distribution": _is_text},
    6: {**_TRIAL, "state": _is_whole, "values": _are_numbers},
    7: {**_TRIAL, "step": _is_whole, "intermediate_value": _is_number},
    8: {**_TRIAL, "user_attr": _is_attribute},
    9: {**_TRIAL, "system_attr": _is_attribute},
    10: {},
}
"""What every entry of an operation has, beside `op_code` and `worker_id`."""

_NEW_TRIAL: Final[dict[str, _Check]] = {
    "state": _is_whole,
    "values": _are_numbers,
    "value": lambda value: value is None or _is_number(value),
    "user_attrs": _is_mapping,
    "system_attrs": _is_mapping,
    "params": _is_mapping,
    "distributions": _is_mapping,
    "intermediate_values": _is_mapping,
    "datetime_complete": _is_text,
}
"""What an entry about a new trial may have."""


def journal_entry(line: bytes) -> dict[str, Any]:
    """Returns the entry of a line of a journal; its checksum, where it has one, is right.

    Raises:
        ValueError: The line is damaged, or of a kind that Optuna does not know.
    """
    # A power cut may leave a file longer than what was written to it: zeros, and behind them what came afterwards.
    line = line.lstrip(b"\0").rstrip(b"\r\n")
    has_checksum(line)
    try:
        entry = parse_json(line, "", nan=True)
    except DamagedFile as error:
        raise ValueError(error.message) from error
    if not isinstance(entry, dict):
        raise ValueError(f"{_shown(entry)} is no operation")
    code = entry.get("op_code")
    fields = _FIELDS.get(code) if _is_whole(code) else None
    if fields is None:
        raise ValueError(f"the operation {_shown(code)} is unknown")
    _check(entry, fields)
    _check(entry, _WORKER)
    if code == _CREATE_TRIAL:
        _check(entry, {name: check for name, check in _NEW_TRIAL.items() if name in entry})
    return entry


def _check(entry: Mapping[str, Any], fields: Mapping[str, _Check]) -> None:
    for name, check in fields.items():
        if name not in entry:
            raise ValueError(f"{name} is missing")
        if not check(entry[name]):
            raise ValueError(f"{name} is {_shown(entry[name])}")


def _shown(value: Any) -> str:
    return ascii(value)[:40]
