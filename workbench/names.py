"""Names: of things in a workspace, and of who acts."""

from __future__ import annotations

import getpass
import os
import pwd
import re

from workbench.errors import WorkbenchError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def current_user() -> str:
    """Who acts: ``WORKBENCH_USER``, ``JUPYTERHUB_USER``, else the login of this process. A statement, not a
    proof: whoever can set the environment can claim any name."""
    claimed = os.environ.get("WORKBENCH_USER") or os.environ.get("JUPYTERHUB_USER")
    if claimed:
        return claimed
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def account(uid: int) -> str:
    """The name of an account of this system, its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def check_name(name: str) -> str:
    """The name if it is safe as a file name.

    Raises:
        WorkbenchError: empty, too long, or with anything but letters, digits, dot, dash and underscore.
    """
    if not isinstance(name, str) or not _NAME.match(name):
        raise WorkbenchError(
            f"{str(name)[:70]!r} cannot name a thing in a workspace",
            hint="Use up to 64 letters, digits, dots, dashes, underscores; begin with a letter or digit.",
        )
    return name
