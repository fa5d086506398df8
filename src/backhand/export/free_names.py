"""Names that nothing else in a file has."""

from __future__ import annotations


def free_name(wanted: str, taken: set[str], mark: str = "_") -> str:
    """Take a name: ``wanted`` if it is free, else with ``mark`` and a number behind it.

    Parameters
    ----------
    wanted : str
    taken : set of str
        What there is; the name is added.
    mark : str
        What goes before the number.
    """
    number, name = 2, wanted
    while name in taken:
        name, number = f"{wanted}{mark}{number}", number + 1
    taken.add(name)
    return name
