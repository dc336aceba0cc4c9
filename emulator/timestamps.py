"""How is a time with a resolution of 100 ns read and written?

Graph sends up to seven fractional digits, one more than datetime holds, so a time here is an integer: ticks of 100 ns
since 0001-01-01T00:00:00Z.
"""

from __future__ import annotations

import datetime
import re
import time

TICKS_PER_SECOND = 10_000_000
TICKS_PER_DAY = 86_400 * TICKS_PER_SECOND
UNIX_EPOCH = (datetime.date(1970, 1, 1).toordinal() - 1) * TICKS_PER_DAY

_PATTERN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?(?:Z|([+-])(\d\d):(\d\d))\Z", re.ASCII)


def to_ticks(text: str) -> int:
    """Read an Edm.DateTimeOffset; ValueError when it is not one."""
    match = _PATTERN.match(text)
    if match is None:
        raise ValueError(f"not a date-time with an offset: {text!r}")
    year, month, day, hour, minute, second, fraction, sign, off_hours, off_minutes = match.groups()
    days = datetime.date(int(year), int(month), int(day)).toordinal() - 1
    clock = datetime.time(int(hour), int(minute), int(second or 0))
    seconds = days * 86_400 + clock.hour * 3600 + clock.minute * 60 + clock.second
    if sign:
        offset = int(off_hours) * 3600 + int(off_minutes) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * TICKS_PER_SECOND + int((fraction or "").ljust(7, "0"))


def to_text(ticks: int, digits: int = 7) -> str:
    """Write ticks with exactly so many fractional digits; what does not fit is cut off."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    days, clock = divmod(seconds, 86_400)
    date = datetime.date.fromordinal(days + 1)
    hours, rest = divmod(clock, 3600)
    text = f"{date.isoformat()}T{hours:02}:{rest // 60:02}:{rest % 60:02}"
    return f"{text}.{fraction:07}"[:len(text) + 1 + digits] + "Z" if digits else text + "Z"


def now() -> int:
    return UNIX_EPOCH + time.time_ns() // 100


class Clock:
    """The service's time: the real one, or a pinned one that moves by a fixed step at each change of an alert."""

    STEP = 1_234_567

    def __init__(self, pinned: int | None = None):
        self.pinned = pinned
        self.start = now() if pinned is None else pinned
        self._changes = 0

    def at_change(self) -> int:
        if self.pinned is None:
            return now()
        self._changes += 1
        return self.pinned + self._changes * self.STEP

    def reset(self) -> None:
        self._changes = 0
