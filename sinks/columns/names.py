"""Which JSON member names may be column names; the others stay in `_extra`.

Lives here: the rule. Names are taken as they are, never changed: a column is found under the vendor's own name.
Why: an empty name breaks every later append, `a.b` meets struct a{b}, `id` and `ID` are one column for most engines,
and files hold names in Avro's form, where `a b` and `a_x20b` are one (Iceberg spec, "Column Projection", Appendix A).
"""

MAX_NAME = 128


def usable(name: str) -> bool:
    """Tell whether a name can be a column name, apart from its neighbours."""
    return 0 < len(name) <= MAX_NAME and name.isprintable() and "." not in name and name == name.strip()


def file_name(name: str) -> str:
    """Return the name in Avro's form, as files hold it; not empty."""
    head = name[0] if name[0].isalpha() or name[0] == "_" else _escape(name[0])
    return head + "".join(char if char.isalnum() or char == "_" else _escape(char) for char in name[1:])


def _escape(char: str) -> str:
    return "_" + char if char.isdigit() else f"_x{ord(char):X}"


def key(name: str) -> str:
    """Return what must differ among the columns of one struct."""
    return file_name(name).casefold()
