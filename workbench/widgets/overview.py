"""What a workspace holds and what its machine can do, at a glance: a static card, no widget needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from workbench import machine
from workbench.signatures import public
from workbench.widgets import static

if TYPE_CHECKING:
    from workbench.release.retraining_schedule import RetrainingStatus
    from workbench.workspace.folder import WorkspaceFolder


@public
class Overview:
    """Machine, corpora, checkpoints, runs, pilot and what falls due.

    Args:
        workspace: the folder that is described.
        corpora: rows (name, utterances, hours, locales, accepted, rejected).
        retraining_status: what there is since the last release; None where nothing was released yet.
        faults: what could not be read, one sentence each.
    """

    def __init__(
        self,
        workspace: WorkspaceFolder,
        corpora: list[tuple[Any, ...]],
        retraining_status: RetrainingStatus | None,
        faults: Sequence[str] = (),
    ) -> None:
        self.workspace, self.corpora, self.retraining_status = workspace, corpora, retraining_status
        self.faults = tuple(faults)
        self.machine = machine.read(workspace.path)

    def _repr_html_(self) -> str:
        return static.box(
            self._machine(), self._holdings(), self._pilot(), self._due(), label="Workspace overview"
        )

    def __repr__(self) -> str:
        names = ", ".join(str(row[0]) for row in self.corpora) or "none"
        m, checkpoints = self.machine, ", ".join(self.workspace.checkpoint_names()) or "none"
        unread = "".join(f"; cannot be read: {fault}" for fault in self.faults)
        return (
            f"workspace with corpora {names}; checkpoints {checkpoints}; "
            f"{m.cores} cores, {m.memory_gb:.0f} GB memory, {len(m.gpus)} GPUs{unread}"
        )

    def _machine(self) -> str:
        m = self.machine
        gpu = ", ".join(m.gpus) or "no CUDA GPU"
        versions = " · ".join(f"{name} {version}" for name, version in m.versions.items() if version)
        first = (
            f"{m.cores} cores · {m.memory_gb:.0f} GB memory ({m.free_memory_gb:.0f} free) · "
            f"{m.free_disk_gb:.0f} GB disk free · {gpu}"
        )
        marks = [
            f'<li style="list-style:none">{"✓" if works else "—"} {static.escape(what)}</li>'
            for works, what in m.abilities()
        ]
        return (
            f"<h4 style='margin:0 0 4px'>This machine</h4><div>{static.escape(first)}</div>"
            f'<div style="{static.MUTED}">Python {static.escape(m.python)} · {static.escape(versions)}</div>'
            f'<ul style="margin:6px 0;padding:0">{"".join(marks)}</ul>'
        )

    def _holdings(self) -> str:
        parts = ["<h4 style='margin:10px 0 0'>This workspace</h4>"]
        if self.corpora:
            header = ("corpus", "utterances", "hours", "locales", "accepted", "rejected")
            rows = [(n, f"{u:,}", f"{h:.2f}", locales, a, r) for n, u, h, locales, a, r in self.corpora]
            parts.append(static.table(header, rows))
        else:
            parts.append("<div>No corpus yet: <code>ws.import_corpus(name, manifest)</code>.</div>")
        parts += [f'<div role="alert">⚠ {static.escape(fault)}</div>' for fault in self.faults]
        checkpoints, runs = self.workspace.checkpoint_names(), self.workspace.run_names()
        parts.append(f"<div>Checkpoints: {static.escape(', '.join(checkpoints) or 'none yet')}</div>")
        parts.append(f"<div>Runs: {static.escape(', '.join(runs) or 'none yet')}</div>")
        return "".join(parts)

    def _pilot(self) -> str:
        rows = self.workspace.pilot.locales
        if not rows:
            return f'<div style="{static.MUTED}">No pilot plan yet: <code>ws.set_pilot(…)</code> below.</div>'
        header = ("locale", "role", "traffic", "risk weight", "accents")
        cells = [
            (r.tag, r.role, f"{r.traffic_share:.0%}", f"{r.risk_weight:g}", ", ".join(r.accents) or "—")
            for r in rows
        ]
        return "<h4 style='margin:10px 0 0'>Pilot plan</h4>" + static.table(header, cells)

    def _due(self) -> str:
        schedule, found = self.workspace.config.retraining_schedule, self.retraining_status
        rule = (
            f"Retraining is due every {schedule.days:g} days, every {schedule.accepted_hours:g} newly "
            f"accepted hours, or when a locale regresses by {100 * schedule.regressed:g} points."
        )
        title = f"<h4 style='margin:10px 0 0'>When to retrain</h4><div>{static.escape(rule)}</div>"
        if found is None:
            none = "No release yet; the retraining schedule starts after the first."
            return f'{title}<div style="{static.MUTED}">{none}</div>'
        so_far = (
            f"{found.name} went out {found.since}: {found.days:.1f} days, "
            f"{found.hours:.2f} hours accepted since."
        )
        parts = [title, f"<div>{static.escape(so_far)}</div>"]
        if found.due:
            parts.append(f"<div><b>⚠ Retraining is due:</b></div>{_items(found.due)}")
        else:
            parts.append("<div>✓ No retraining is due.</div>")
        if found.changes:
            parts.append(f"<div>What {static.escape(found.name)} changed:</div>{_items(found.changes)}")
        return "".join(parts)


def _items(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{static.escape(text)}</li>' for text in sentences)}</ul>"
