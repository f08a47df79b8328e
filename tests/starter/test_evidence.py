"""What the data card is made from: curves and times of a training that was stopped and resumed."""

import json

from tooling.starter import evidence


def _lines(tmp_path, points):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(point) + "\n" for point in points), "utf-8")
    return path


def test_steps_done_again_after_a_kill_count_once(tmp_path):
    path = _lines(
        tmp_path,
        [
            {"stage": "path", "step": 50, "loss": 3.0, "step_s": 0.6},
            {"stage": "path", "step": 100, "loss": 2.0, "step_s": 0.6},
            {"stage": "path", "step": 100, "cer": 0.9, "tags_right": 0.1},
            {"stage": "path", "step": 100, "loss": 2.0, "step_s": 1.2},
            {"stage": "path", "step": 100, "cer": 0.8, "tags_right": 0.2},
            {"stage": "transducer", "step": 30, "loss": 1.0, "step_s": 2.0},
        ],
    )
    assert evidence.minutes(path) == {"path": 1.5, "transducer": 1.0}
    assert evidence.curves(path) == {"path": [{"step": 100, "cer": 0.8, "tags_right": 0.2}]}


def test_figures_measured_without_the_training_keep_its_curves(tmp_path):
    target = tmp_path / "starter.json"
    path = _lines(tmp_path, [{"stage": "path", "step": 50, "loss": 3.0, "step_s": 0.6}])
    evidence.write({"test_clips": 1}, path, target)
    evidence.write({"test_clips": 2}, tmp_path / "absent.jsonl", target)
    assert json.loads(target.read_text("utf-8")) == {
        "test_clips": 2, "curves": {}, "minutes": {"path": 0.5}, "devices": {"path": "one CPU core"},
    }  # fmt: skip
