"""Times and dates as text and as values: which texts a typed column gives back by itself.

Lives here: what fits, and what is kept beside it. A time in UTC comes back with `Z` and no, three or six digits of the
second, as few as hold it (`+00:00` and `.000` are gone, as 1.0 may come back as 1). A time with another offset goes
into the column as its moment, and its text into `_raw`: the offset says something. What is finer than a microsecond, or
no RFC 3339 time of the years 1 to 9999, does not fit. https://www.rfc-editor.org/rfc/rfc3339#section-5.6
"""

import re
from array import array
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

TIME, DATE = pa.timestamp("us", "UTC"), pa.date32()
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME_RE, _DATE_RE = re.compile(_TIME, re.ASCII), re.compile(_DATE, re.ASCII)
_UTC = ("Z", "+00:00", "-00:00")
_WHOLE = 20
"""Length of a time in UTC with whole seconds, by far the commonest form."""
_MOST_ROWS = 1 << 14
_PLACES = array("i", range(0, _WHOLE * (_MOST_ROWS + 1), _WHOLE)).tobytes()
_DIGITS = 10**15
_FIRST = pa.scalar(datetime.min.replace(tzinfo=UTC), TIME)
_LAST = pa.scalar(datetime.max.replace(tzinfo=UTC), TIME)
_FIRST_DAY = pa.scalar(date.min, DATE)
_MILLI = 1000


def time_of(text: str) -> datetime | None:
    """Return the moment that a text names; None when a column cannot hold it as it is."""
    if not _TIME_RE.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def date_of(text: str) -> date | None:
    """Return the day that a text names."""
    if not _DATE_RE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def text_of(value: datetime) -> str:
    """Return the text that a moment has in our form."""
    head = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    if not value.microsecond:
        return head + "Z"
    if value.microsecond % _MILLI:
        return f"{head}.{value.microsecond:06d}Z"
    return f"{head}.{value.microsecond // _MILLI:03d}Z"


def is_utc(text: str) -> bool:
    """Tell whether a time that fits says no more than its moment."""
    return text.endswith(_UTC)


def times(texts: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Return the moments of texts, and those texts that name another offset (else null), None when there are none.

    Raises ValueError when one does not fit.
    """
    values = texts.cast(TIME)  # takes dates, spaces and short offsets too: those are refused below
    others = None
    if not _plain(texts):
        if pc.all(pc.match_substring_regex(texts, _TIME)).as_py() is False:
            raise ValueError("not an RFC 3339 time")
        utc = pc.or_(pc.ends_with(texts, "Z"), pc.match_substring_regex(texts, "[+-]00:00$"))
        if pc.all(utc).as_py() is False:
            others = pc.if_else(utc, pa.scalar(None, pa.string()), texts)
    bounds = pc.min_max(values)
    if bounds["min"].is_valid and (bounds["min"].value < _FIRST.value or bounds["max"].value > _LAST.value):
        raise ValueError("outside the years 1 to 9999")
    return values, others


def _plain(texts: pa.Array) -> bool:
    """Tell whether texts that Arrow reads as times are all `YYYY-MM-DDTHH:MM:SSZ`; False may be a false alarm.

    They lie behind one another in one buffer (Arrow columnar format, "Variable-size Binary Layout"): each begins 20
    bytes after the one before it. Five times as quick as asking for lengths, ends and middles.
    """
    if texts.null_count:
        texts = texts.drop_null()
    rows = len(texts)
    if not rows:
        return True
    _valid, places, data = texts.buffers()
    if texts.offset or rows >= _MOST_ROWS or places is None or data is None:
        return False
    if not _PLACES.startswith(bytes(memoryview(places)[: 4 * (rows + 1)])):
        return False
    text = bytes(memoryview(data)[: rows * _WHOLE])
    return text[10::_WHOLE] == b"T" * rows and text[_WHOLE - 1 :: _WHOLE] == b"Z" * rows


def decimals(numbers: pa.Array, kind: pa.Decimal128Type) -> pa.Array:
    """Return doubles of at most 15 digits, as sent, as decimals; raises ValueError, ArrowInvalid when one does not fit.

    A number of so few digits and its double name each other (IEEE 754), so going back must bring the same double. The
    way back is a division of whole numbers, which rounds right: Arrow's own multiplies by 0.01, and 0.35 is none then.
    """
    values = numbers.cast(kind)
    power = float(10**kind.scale)
    span = pc.min_max(numbers)
    if any(end.is_valid and abs(end.as_py()) * power >= _DIGITS for end in span.values()):
        raise ValueError("too large to tell")
    whole = pa.Array.from_buffers(pa.decimal128(kind.precision, 0), len(values), values.buffers(), -1, values.offset)
    if pc.all(pc.equal(pc.divide(whole.cast(pa.float64()), power), numbers)).as_py() is False:
        raise ValueError("more digits than the column keeps")
    return values


def dates(texts: pa.Array) -> pa.Array:
    """Return the days of texts; raises ValueError when one does not fit."""
    if pc.all(pc.match_substring_regex(texts, _DATE)).as_py() is False:
        raise ValueError("not a full date")
    values = texts.cast(DATE)
    if pc.all(pc.greater_equal(values, _FIRST_DAY)).as_py() is False:
        raise ValueError("before year 1")
    return values


def pointed(pairs: list[tuple[bytes, pa.Array]], rows: int) -> pa.Array:
    """Return a JSON object a row from (pointer as JSON text, texts that need no escaping); null for a row of none."""
    if not pairs:
        return pa.nulls(rows, pa.string())
    members = [
        pc.binary_join_element_wise("," + pointer.decode() + ':"', texts, '"', "", null_handling="emit_null")
        for pointer, texts in pairs
    ]
    # a row whose values are all null is no row any more under null_handling="skip" (pyarrow 26)
    joined = pc.binary_join_element_wise(*members, "", null_handling="replace", null_replacement="")
    objects = pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(joined, 1), "}", "")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), objects)
