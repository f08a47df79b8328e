"""Things of one name are told apart in the lineage; an export leads back to its corpus wherever it lies."""

from __future__ import annotations

from pathlib import Path

from small_workspace import small_workspace

from workbench.release import lineage, lineage_drawing


def test_names_are_distinct_and_exports_lead_from_their_corpus(tmp_path: Path) -> None:
    ws = small_workspace(tmp_path / "ws")
    folder = next(path for path in ws.runs.iterdir() if path.is_dir())
    (folder / "checkpoints").mkdir(exist_ok=True)
    for name in ("best.nemo", "last.nemo"):
        (folder / "checkpoints" / name).write_bytes(name.encode())
    made = lineage.graph(ws)
    labels = [(node.kind, node.label) for node in made.nodes.values()]
    assert len(set(labels)) == len(labels)
    assert {f"{folder.name} · best.nemo", f"{folder.name} · last.nemo"} <= {label for _, label in labels}
    before = {node.id for node in made.ancestors(f"run {folder.name}")}
    assert "corpus calls" in before, "an export beside the corpora leads back to its corpus"
    made._join(next(id for id in made.nodes if id.startswith("checkpoint ")), f"run {folder.name}")
    layout = lineage_drawing.layout(made)
    base = next(
        e.start for e in made.edges if e.to == f"run {folder.name}" and e.start.startswith("checkpoint")
    )
    assert layout.places[base][0] < layout.places[f"run {folder.name}"][0], "lines go on, not back"
