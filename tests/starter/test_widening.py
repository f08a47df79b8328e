"""A larger network begins as the starter: the same text, more letters, new units that lead nowhere yet."""

import pytest
import torch

from tooling.starter import network, widening
from tooling.starter.checkpoint import RECIPE, load_recipe
from workbench.locales import prompt_dictionary
from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter_files import CHECKPOINT

pytestmark = pytest.mark.model
LETTERS = "ășțăäa"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    widening.lengthen_tokenizer(CHECKPOINT, LETTERS, folder)
    smaller = Checkpoint.open(CHECKPOINT).model("cpu", "fp32")
    wanted = {
        **load_recipe(RECIPE)["network"],
        "predictor": smaller.decoder.pred_hidden + 8,
        "ff_expansion": 7,
    }
    larger = network.build(wanted, 80, folder)
    widening.begin_as(smaller, larger)
    for model in (smaller, larger):  # the smaller one is shared, and looks ahead as its last user asked
        model.encoder.set_default_att_context_size(model.encoder.att_context_size_all[0])
    return smaller, larger.eval()


def test_the_tokenizer_keeps_its_pieces_and_gets_the_letters_it_lacks(pair):
    smaller, larger = (model.tokenizer for model in pair)
    known = [smaller.ids_to_tokens([i])[0] for i in range(smaller.vocab_size)]
    pieces = [larger.ids_to_tokens([i])[0] for i in range(larger.vocab_size)]
    assert pieces[: len(known)] == known
    assert set(LETTERS) <= set(pieces)
    assert len(set(pieces)) == len(pieces)
    text = "Una rana verde. <es-ES>"
    assert larger.text_to_ids(text) == smaller.text_to_ids(text)
    assert larger.ids_to_text(larger.text_to_ids("casă țară")) == "casă țară"


def test_it_says_what_the_smaller_one_says(pair):
    torch.manual_seed(0)
    signal, counts = torch.randn(2, 80, 120) * 3 - 9, torch.tensor([120, 90])
    prompts = torch.tensor([prompt_dictionary()["es-ES"], prompt_dictionary()["auto"]])
    labels = torch.tensor([[5, 60, 70, 8], [9, 3, 100, 41]])
    outputs = []
    for model in pair:
        with torch.no_grad():
            encoded, _ = model.forward(
                processed_signal=signal, processed_signal_length=counts, prompt_indices=prompts
            )
            predicted, _, _ = model.decoder(targets=labels, target_length=torch.tensor([4, 4]))
            outputs.append(model.joint.joint(encoded.transpose(1, 2), predicted.transpose(1, 2)))
    pieces = outputs[0].shape[-1] - 1
    share = [out.exp() if out.max() <= 0 else out.softmax(-1) for out in outputs]
    torch.testing.assert_close(share[1][..., :pieces], share[0][..., :pieces], atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(share[1][..., -1], share[0][..., -1], atol=2e-3, rtol=1e-2)


def test_another_shape_is_refused(pair):
    smaller, larger = pair
    with pytest.raises(ValueError, match="cannot grow"):
        widening.begin_as(larger, smaller)
