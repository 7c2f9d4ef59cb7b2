"""The tools that look inside, against hooks and autograd of torch on transformers' model with the same weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
transformers = pytest.importorskip("transformers", reason="needs the parity extra")

from distilroberta_np import FillMaskPipeline, RobertaTokenizer  # noqa: E402
from distilroberta_np.analysis import (  # noqa: E402
    PseudoLikelihoodScorer,
    ablate,
    attention_norms,
    attribute,
    logit_lens,
    patch,
    trace,
)
from distilroberta_np.hub import find_embedded  # noqa: E402
from tests.support.transformers_models import as_numpy  # noqa: E402

pytestmark = pytest.mark.parity

TEXT = "The man worked as a <mask>."
OTHER = "The woman worked as a <mask>."


class Pair:
    """A masked language model of transformers and the same weights in this package, with a tokenizer."""

    def __init__(self, model, folder):
        self.torch, self.tokenizer = model, RobertaTokenizer.from_folder(folder)
        self.numpy = FillMaskPipeline(as_numpy(model), self.tokenizer)
        self.layers = model.roberta.encoder.layer
        self.heads = model.config.num_attention_heads

    def ids(self, text):
        return torch.tensor([self.tokenizer.encode(text)])

    @torch.no_grad()
    def log_probabilities(self, ids, position, hooks=()):
        """(V,) at a position, with hooks: pairs of module and forward hook (a function of inputs and output)."""
        handles = [
            module.register_forward_hook(lambda _, inputs, output, hook=hook: hook(inputs, output))
            for module, hook in hooks
        ]
        logits = self.torch(ids).logits[0, position]
        for handle in handles:
            handle.remove()
        return torch.log_softmax(logits.double(), -1).numpy()

    def mask(self, text):
        return self.ids(text)[0].tolist().index(self.tokenizer.mask_token_id)


@pytest.fixture(scope="module", params=["embedded", "distilroberta"])
def pair(request):
    if request.param == "distilroberta":
        return Pair(request.getfixturevalue("full_size"), request.getfixturevalue("roberta_tokenizer_json").parent)
    folder = find_embedded()
    model = transformers.AutoModelForMaskedLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    ).eval()
    return Pair(model, folder)


def close(ours, theirs, atol=5e-5):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def test_trace_and_lens(pair):
    with torch.no_grad():
        outputs = pair.torch(pair.ids(TEXT), output_hidden_states=True, output_attentions=True)
        lens = torch.stack([pair.torch.lm_head(state[0, pair.mask(TEXT)]) for state in outputs.hidden_states])
    recorded = trace(pair.numpy, TEXT)
    close(recorded.hidden_states, torch.cat(outputs.hidden_states).numpy())
    close(recorded["layer.probabilities"], torch.cat(outputs.attentions).numpy())
    close(recorded["logits"], outputs.logits[0].numpy(), 1e-4)
    probabilities = torch.softmax(lens.double(), -1).numpy()
    ours = logit_lens(pair.numpy, TEXT)
    answer = probabilities[-1].argmax()
    close(ours.probabilities, probabilities[:, answer])
    assert ours.ranks.tolist() == (1 + (probabilities > probabilities[:, [answer]]).sum(-1)).tolist()
    assert [words[0] for words in ours.words] == [pair.tokenizer.decode([word]) for word in probabilities.argmax(-1)]


def test_attention_norms(pair):
    recorded = trace(pair.numpy, TEXT)
    norms = attention_norms(pair.numpy.model, recorded)
    with torch.no_grad():
        outputs = pair.torch(pair.ids(TEXT), output_hidden_states=True, output_attentions=True)
        for n, (layer, attention) in enumerate(zip(pair.layers, outputs.attentions, strict=True)):
            value = layer.attention.self.value(outputs.hidden_states[n][0])  # [S, H]
            size = value.shape[-1] // pair.heads
            weight = layer.attention.output.dense.weight
            brought = [
                attention[0, head][..., None] * (value[:, part] @ weight[:, part].T)[None]  # [S, S, 1] * [1, S, H]
                for head, part in enumerate(slice(h * size, (h + 1) * size) for h in range(pair.heads))
            ]
            close(norms.heads[n], torch.stack(brought).norm(dim=-1).numpy(), 1e-4)
            close(norms.total[n], sum(brought).norm(dim=-1).numpy(), 1e-4)


def test_ablation_by_hooks(pair):
    ablation, mask, ids = ablate(pair.numpy, TEXT), pair.mask(TEXT), pair.ids(TEXT)
    whole = pair.log_probabilities(ids, mask)
    answer = whole.argmax()
    close(ablation.log_probability, whole[answer])
    size = pair.torch.config.hidden_size // pair.heads
    for n, layer in enumerate(pair.layers):
        for head in range(n % 2, pair.heads, 3):

            def without_head(inputs, output, layer=layer, part=slice(head * size, (head + 1) * size)):
                return output - inputs[0][..., part] @ layer.attention.output.dense.weight[:, part].T

            changed = pair.log_probabilities(ids, mask, [(layer.attention.output.dense, without_head)])
            close(ablation.heads[n, head], changed[answer] - whole[answer], 1e-4)
        hook = (layer.output.dense, lambda inputs, output: torch.zeros_like(output))
        changed = pair.log_probabilities(ids, mask, [hook])
        close(ablation.feed_forward[n], changed[answer] - whole[answer], 1e-4)
    for position in set(range(ids.shape[1])) - {mask}:
        shorter = torch.cat([ids[:, :position], ids[:, position + 1 :]], 1)
        changed = pair.log_probabilities(shorter, mask - (position < mask))
        close(ablation.left_out[position], changed[answer] - whole[answer], 1e-4)


def test_patching_by_hooks(pair):
    patching, mask = patch(pair.numpy, TEXT, OTHER), pair.mask(TEXT)
    (word,) = pair.tokenizer.encode(patching.target, add_special_tokens=False)
    with torch.no_grad():
        source = pair.torch(pair.ids(OTHER), output_hidden_states=True).hidden_states
    modules = [pair.torch.roberta.embeddings, *pair.layers]
    expected = np.zeros(patching.log_probabilities.shape)
    for n, position in np.ndindex(*expected.shape):

        def replaced(inputs, output, n=n, position=position):
            states = (output[0] if isinstance(output, tuple) else output).clone()
            states[0, position] = source[n][0, position]
            return (states, *output[1:]) if isinstance(output, tuple) else states

        row = pair.log_probabilities(pair.ids(TEXT), mask, [(modules[n], replaced)])
        expected[n, position] = row[word]
    close(patching.log_probabilities, expected, 1e-4)


def test_attribution_by_autograd(pair):
    steps = 5
    attribution, mask = attribute(pair.numpy, TEXT, steps=steps), pair.mask(TEXT)
    ids = pair.ids(TEXT)
    (answer,) = pair.tokenizer.encode(attribution.target, add_special_tokens=False)
    inner = torch.full_like(ids, pair.tokenizer.mask_token_id)
    inner[0, [0, -1]] = ids[0, [0, -1]]
    table = pair.torch.roberta.embeddings.word_embeddings.weight.detach()
    word, baseline = table[ids], table[inner]

    def gradient(embeds):
        embeds = embeds.clone().requires_grad_()
        value = torch.log_softmax(pair.torch(inputs_embeds=embeds).logits[0, mask], -1)[answer]
        (result,) = torch.autograd.grad(value, embeds)
        return value.item(), result[0].double()

    value, slope = gradient(word)
    close(attribution.log_probability, value)
    close(attribution.baseline_log_probability, gradient(baseline)[0])
    close(attribution.gradient_times_input, (slope * word[0]).sum(-1).numpy(), 1e-4)
    points, weights = np.polynomial.legendre.leggauss(steps)
    slopes = [gradient(baseline + float((point + 1) / 2) * (word - baseline))[1] for point in points]
    average = sum(weight / 2 * slope for weight, slope in zip(weights, slopes, strict=True))
    close(attribution.integrated_gradients, (average * (word - baseline)[0]).sum(-1).numpy(), 1e-4)


@pytest.mark.parametrize("within_word", [False, True])
def test_pseudo_log_likelihood(pair, within_word):
    texts = ["The man worked as a teacher.", "Incomprehensibilities don't matter, obviously!"]
    scorer = PseudoLikelihoodScorer(pair.numpy.model, pair.tokenizer)
    for text, score in zip(texts, scorer(texts, within_word=within_word), strict=True):
        encoding = pair.tokenizer.encoding(text)
        ids, words = encoding.ids, encoding.word_ids
        for position in range(1, len(ids) - 1):
            masked = pair.ids(text)
            for index, word in enumerate(words):
                if index == position or (within_word and index > position and word == words[position]):
                    masked[0, index] = pair.tokenizer.mask_token_id
            expected = pair.log_probabilities(masked, position)[ids[position]]
            close(score["log_probabilities"][position - 1], expected, 1e-4)
        assert score["pseudo_log_likelihood"] == pytest.approx(sum(score["log_probabilities"]))
