"""The console script ``workbench``: every public action as a verb, one file a room.

A new verb is one function with ``@verb(group, "name", room=ROOM)`` in the file of its room; it calls the
public face and returns what to tell (:class:`workbench.cli.verbs.Told`). ``--json`` and exit codes come by
themselves; a new file is listed in ``app.ROOMS``.
"""

from workbench.cli.app import main

__all__ = ["main"]
