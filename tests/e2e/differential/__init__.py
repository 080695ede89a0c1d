"""Arrow data that nobody thought of, carried through other implementations and ours.

    cdata.py    the structs of the Arrow C data interface, made and read with ctypes
    types.py    random schemas
    values.py   random arrays of them, in memory laid out as the format allows
    canon.py    what an array holds, whatever its layout: equal bytes for equal values
    rewrite.py  streams of other writers laid out anew: alignment, byte order, damage
    cases.py    the cases: data, two implementations, and what has to come out
    run.py      many cases, in processes of their own

The data is made without any Arrow library, so that all of them are tested, and none is
asked for what it cannot make. A case is known by its kind and its seed."""
