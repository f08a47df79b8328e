"""New words out of a voice's own letters: which frames are taken, and what a sample makes of them."""

import numpy as np
import pytest
import torch

from tooling.starter import batches, paths
from tooling.starter.alignment import Alignment
from tooling.starter.dataset import Material, spoken_letters, texts
from tooling.starter.features import FeatureCache
from tooling.starter.made import composed
from tooling.starter.made import texts as made_texts
from tooling.starter.training import letter_loss

SPOKEN = ("la casa verde", "il gatto dorme", "una mela rossa", "due rose")
LETTER = 8  # frames of each letter; a pause of as many between words and at both ends


@pytest.fixture
def material(monkeypatch):
    monkeypatch.setattr(composed, "RARE_VOICE", 1)
    rows, spoken, start = [], [], [0]
    for text in SPOKEN:
        rows.append({"text": f"{text.capitalize()}.", "target_lang": "it-IT", "source": "voice"})
        places = [-1] * LETTER
        for place, letter in enumerate(text):
            places += [-1 if letter == " " else place] * LETTER
        places += [-1] * LETTER
        spoken += places
        start.append(len(spoken))
    ends = np.array(start, np.int64)
    alignment = Alignment(np.array(spoken, np.int16), ends)
    frames = np.arange(len(spoken), dtype=np.float16)[:, None].repeat(80, axis=1)
    return Material(rows, FeatureCache(frames, ends), alignment, [], FeatureCache(frames[:0], ends[:1]))


def composer(material, words=("rosa", "cane", "sera", "gelato", "mare")):
    said = {"it": made_texts.Material("it", words, (), ())}
    return composed.Composer(material.rows, material.alignment, said)


def said(spans):
    return "".join(f"{'' if span.glued else ' '}{span.words}" for span in spans).strip()


@pytest.mark.parametrize("word", ["casa", "rosa verde", "mare", "dorme la rosa", "gela"])
def test_spans_spell_the_word(material, word):
    spans = composer(material).spell("voice", word, np.random.default_rng(0))
    assert not spans or said(spans) == word
    if word == "casa":
        assert [span.words for span in spans] == ["casa"], "the longest run is taken"


def test_each_span_holds_the_frames_of_its_letters(material):
    rng, own = np.random.default_rng(1), composer(material)
    for word in ("rosa", "sera", "mare", "casa rossa", "due case"):
        for span in own.spell("voice", word, rng):
            places = material.alignment.own(span.clip)[span.first : span.last]
            heard = "".join(SPOKEN[span.clip][p] for p in dict.fromkeys(places[places >= 0].tolist()))
            assert heard == span.words.replace(" ", "")
            assert 0 <= span.first < span.last <= material.cache.lengths()[span.clip]


def test_letters_that_the_voice_never_said_give_nothing(material):
    assert composer(material).spell("voice", "wagon", np.random.default_rng(0)) == []
    assert composer(material).phrase("somebody", np.random.default_rng(0)) == []


def test_phrases_fall_into_the_train_split(material):
    own, rng = composer(material), np.random.default_rng(2)
    phrases = [said(own.phrase("voice", rng)) for _ in range(60)]
    assert any(phrases)
    assert all(made_texts.allowed(phrase) for phrase in phrases if phrase)


def test_a_sample_spells_and_aligns_as_it_sounds(material):
    spans = composer(material).spell("voice", "rosa verde", np.random.default_rng(3))
    sample = batches.Sample(tuple(spans), (5, *[0] * (len(spans) - 1), 4), 1.0, 0)
    assert texts(material, sample) == ["Rosa verde."]
    places, spelled = spoken_letters(material, sample)
    assert spelled == "rosa verde"
    assert [spelled[p] for p in dict.fromkeys(places[places >= 0].tolist())] == list("rosaverde")


def test_an_epoch_takes_a_share_of_made_clips_and_composes_for_people(material):
    lengths = np.array([100] * 4 + [100] * 400)
    voices = ["voice"] * 4 + ["made-pico-it-IT"] * 400
    stage = {"batch_s": 20, "max_clip_s": 12, "joins": 0.0, "made": 0.25, "composed": 2.0}
    own = composer(material)
    drawn = batches.epoch(voices, lengths, stage, [[]] * 404, np.random.default_rng(4), own.phrase)
    samples = [sample for batch in drawn for sample in batch]
    made = sum(sample.spans[0].clip >= 4 for sample in samples)
    phrases = sum(sample.spans[0].words is not None for sample in samples)
    assert 60 <= made <= 140
    assert 1 <= phrases <= 8
    assert len(samples) == made + phrases + 4


@pytest.mark.parametrize("known", [0, 1, 6])
def test_letters_cost_what_is_known_of_them_and_nothing_where_nothing_is(known):
    named = torch.randn(2, 3, 5, requires_grad=True)
    letters = torch.full((2, 3), paths.IGNORED)
    letters.view(-1)[:known] = 2
    loss = letter_loss(named, letters)
    loss.backward()
    assert torch.isfinite(named.grad).all()
    expected = -named.detach().log_softmax(-1)[..., 2].flatten()[:known]
    assert float(loss) == pytest.approx(float(expected.mean()) if known else 0.0, abs=1e-6)
