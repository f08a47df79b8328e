"""Who may do what: roles from a policy file that a steward adopts, enforced where the API is called.

    people:
      anna: [reviewer, releaser]
      ben: [steward]

What this stops: a mistake, and anyone who acts through the API. An edited file is not in force: its hash must
be the one that was adopted, and adopting needs a steward of the policy before it, who cannot give a role to
himself. What it cannot stop: someone with write access to the workspace's files can change them outside the
API, and whoever can set the environment can claim a name. Both leave traces only where heads of the ledger
are kept elsewhere. Use separate system accounts, and file permissions, where that matters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.names import current_user
from workbench.plain_data import SETTINGS, parse_yaml, read_bytes
from workbench.workspace.folder import WorkspaceFolder

ROLES = ("reviewer", "trainer", "releaser", "steward")
ADOPTED, REFUSED = "roles.adopt", "roles.refused"
FILE = "roles.yaml"


@dataclass(frozen=True, slots=True)
class Roles:
    """People and their roles, as one file says."""

    people: Mapping[str, frozenset[str]]
    digest: str

    def of(self, user: str) -> frozenset[str]:
        return self.people.get(user, frozenset())

    @classmethod
    def read(cls, path: Path) -> Roles:
        """Read a policy file.

        Raises:
            WorkbenchError: unreadable, not of the form above, or an unknown role.
        """
        text = read_bytes(path, SETTINGS.size)
        raw = parse_yaml(text, where=path.name)
        people = raw.get("people") if isinstance(raw, Mapping) else None
        if not isinstance(people, Mapping) or set(raw) - {"people", "schema_version"}:
            raise WorkbenchError("no list of people", where=path.name, hint="Write people: name: [role].")
        for name, roles in people.items():
            known = isinstance(roles, list) and all(r in ROLES for r in roles)
            if not isinstance(name, str) or not known:
                raise WorkbenchError(f"roles of {str(name)[:40]!r}", where=path.name, hint=f"Roles: {ROLES}.")
        made = {name: frozenset(roles) for name, roles in people.items()}
        return cls(made, hashlib.sha256(text).hexdigest())


def adopt(ws: WorkspaceFolder, source: str | Path) -> Roles:
    """Put a policy file in force.

    The first adoption is open to everyone (there is nobody to ask yet) and must name a steward. Later ones
    need a steward of the policy in force, and give its adopter no role that he does not hold already.

    Raises:
        WorkbenchError: faulty file, or refused; refusals are recorded.
    """
    new, user = Roles.read(Path(source)), current_user()
    if not any("steward" in roles for roles in new.people.values()):
        raise WorkbenchError(
            "it names no steward", where=Path(source).name, hint="Nobody could change it later."
        )
    old = in_force(ws)
    if old is not None:
        if "steward" not in old.of(user):
            raise _refuse(ws, "steward", "roles.adopt", "only a steward adopts roles")
        if granted := new.of(user) - old.of(user):
            raise _refuse(
                ws, "steward", "roles.adopt", f"it gives {', '.join(sorted(granted))} to its own adopter"
            )
    text = read_bytes(Path(source), SETTINGS.size)
    if hashlib.sha256(text).hexdigest() != new.digest:
        raise WorkbenchError("the file changed while it was read", where=Path(source).name)
    folder = ws.path / "roles"
    folder.mkdir(exist_ok=True, mode=0o700)
    # The adopted text is kept by its hash; roles.yaml is a copy for people to read and edit.
    write_atomic(folder / f"{new.digest}.yaml", text)
    ws.record(ADOPTED, {"digest": new.digest, "people": len(new.people)})
    write_atomic(ws.path / FILE, text)
    return new


def in_force(ws: WorkspaceFolder) -> Roles | None:
    """The adopted policy; None where none ever was, and then everyone may do everything.

    Raises:
        WorkbenchError: the adopted policy is missing or was changed on disk.
    """
    event = ws.ledger.latest(ADOPTED)
    if event is None:
        return None
    digest = str((event.payload or {}).get("digest"))
    path = ws.path / "roles" / f"{digest}.yaml"
    if not path.exists():
        raise WorkbenchError(
            "the adopted roles are missing", where=str(path), hint="Restore them from a backup."
        )
    roles = Roles.read(path)
    if roles.digest != digest:
        raise WorkbenchError("the adopted roles were changed on disk", where=str(path), hint="Restore them.")
    return roles


def require(ws: WorkspaceFolder, role: str, action: str, *, named: str | None = None) -> str:
    """Let the current user act in a role; returns his opaque id.

    Args:
        role: one of ``ROLES``, or several with ``|`` of which one is enough: ``trainer|steward``.
        action: what is to be done, a word for the record: ``release.promote``.
        named: in whose name it is done, where that is said; must hold the role as well.

    Raises:
        WorkbenchError: he does not hold the role, or ``roles.yaml`` is not the adopted one. Recorded.
    """
    user, roles = current_user(), in_force(ws)
    if roles is not None:
        visible = ws.path / FILE
        if not visible.exists() or hashlib.sha256(visible.read_bytes()).hexdigest() != roles.digest:
            raise _refuse(ws, role, action, f"{FILE} is not the policy that was adopted")
        for who in (user, named or user):
            if roles.of(who).isdisjoint(role.split("|")):
                raise _refuse(ws, role, action, f"{who} lacks the {role.replace('|', ' or ')} role")
    return ws.actor(user)


def workspace_of(corpus: Path) -> WorkspaceFolder | None:
    """The workspace that a corpus folder lies in; None where it lies alone."""
    home = corpus.parent.parent
    inside = corpus.parent.name == "corpora" and (home / "ledger.sqlite").exists()
    return WorkspaceFolder(home) if inside else None


def guard(corpus: Path, role: str) -> Callable[[str, str | None], None]:
    """What a corpus calls before it acts, with the action and in whose name; see :func:`require`.

    The workspace is opened at the first call; a corpus outside of one has no roles.
    """
    opened: list[WorkspaceFolder | None] = []

    def ask(action: str, named: str | None = None) -> None:
        if not opened:
            opened.append(workspace_of(corpus))
        if opened[0] is not None:
            require(opened[0], role, action, named=named)

    return ask


def _refuse(ws: WorkspaceFolder, role: str, action: str, why: str) -> WorkbenchError:
    ws.record(REFUSED, {"role": role.replace("|", "+"), "action": action})
    return WorkbenchError(f"refused: {why}", where=action, hint="Ask a steward; the refusal is recorded.")
