"""One-line uses of transformers and sentence-transformers, each evaluated in both libraries on the same folders.

docs/compatibility.md is made of this list: `python -m tests.parity.test_one_liners` writes it.
"""

# ruff: noqa: E501 (a line is a line)

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import distilroberta_np

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


class Line(NamedTuple):
    code: str
    refused: str | None = None  # what the error of this package says; None if it takes the line
    differs: str | None = None  # what differs in the result; None if it is equal
    fails: bool = False  # in both libraries


# By section. `x = ...` above the first line of a section is evaluated once, on each side.
SECTIONS: dict[str, tuple[dict[str, str], list[Line]]] = {}


def section(
    title: str,
    given: Mapping[str, str],
    works: str,
    refused: Mapping[str, str] | None = None,
    differs: Mapping[str, str] | None = None,
    fails: str = "",
) -> None:
    lines = [Line(code) for code in works.strip().splitlines()]
    lines += [Line(code, fails=True) for code in fails.strip().splitlines()]
    lines += [Line(code, differs=difference) for code, difference in (differs or {}).items()]
    SECTIONS[title] = dict(given), lines + [Line(code, reason) for code, reason in (refused or {}).items()]


CPU, FLOAT32 = "this package runs on the CPU", "the computation is in float32"
INFERENCE = "models are for inference"
ARRAYS, NO_MODULES = "weights are NumPy arrays", "there are no modules"

section(
    "Making a pipeline",
    {},
    """
pipeline("fill-mask", model=mlm)("A <mask>.")
pipeline("fill-mask", mlm)("A <mask>.")
pipeline("fill-mask", model=mlm, tokenizer=mlm)("A <mask>.")
pipeline("fill-mask", model=AutoModelForMaskedLM.from_pretrained(mlm), tokenizer=AutoTokenizer.from_pretrained(mlm))("A <mask>.")
pipeline("fill-mask", model=mlm, top_k=2)("A <mask>.")
pipeline("fill-mask", model=mlm, device=-1)("A <mask>.")
pipeline("fill-mask", model=mlm, device="cpu")("A <mask>.")
pipeline("fill-mask", model=mlm, device=torch.device("cpu"))("A <mask>.")
pipeline("fill-mask", model=mlm, dtype="float32")("A <mask>.")
pipeline("fill-mask", model=mlm, dtype=torch.float32)("A <mask>.")
pipeline("fill-mask", model=mlm, use_fast=True)("A <mask>.")
pipeline("fill-mask", model=mlm, trust_remote_code=False)("A <mask>.")
pipeline("fill-mask", model=mlm, model_kwargs={"attn_implementation": "eager"})("A <mask>.")
pipeline("fill-mask", model=mlm, config=mlm)("A <mask>.")
pipeline("fill-mask", model=mlm, num_workers=0)("A <mask>.")
pipeline("fill-mask", model=mlm, batch_size=2)(["A <mask>.", "The <mask>."])
pipeline("text-classification", model=nli)("A film.")
pipeline("sentiment-analysis", model=nli)("A film.")
pipeline("token-classification", model=ner)("Ada lives in London.")
pipeline("ner", model=ner, aggregation_strategy="simple")("Ada lives in London.")
pipeline("zero-shot-classification", model=nli)("It rains.", candidate_labels=["weather", "sport"])
pipeline("feature-extraction", model=bare)("A text.")
""",
    {
        'pipeline("fill-mask", model=mlm, dtype=torch.float16)("A <mask>.")': FLOAT32,
        'pipeline("fill-mask", model=mlm, dtype="bfloat16")("A <mask>.")': FLOAT32,
        'pipeline("fill-mask", model=mlm, trust_remote_code=True)("A <mask>.")': "code of a model is never run",
        'pipeline("fill-mask", model=mlm, revision="main")("A <mask>.")': "is a folder and has no revision",
        'pipeline("text-classification", model=mlm)("A film.")': "the checkpoint has no sequence-classification head",
    },
    fails='pipeline("no-such-task", model=mlm)',
)

section(
    "Pipeline: fill-mask",
    {"pipe": 'pipeline("fill-mask", model=mlm)'},
    """
pipe("A <mask> text.")
pipe(["A <mask> text.", "The <mask>."])
pipe("A <mask> text.", top_k=3)
pipe("A <mask> and <mask> text.")
pipe("A <mask> text.", targets=[" the", " a"])
pipe("A <mask> text.", targets=" the")
pipe("A <mask> text.", targets=[" the", " a"], top_k=1)
pipe("A <mask> text.", tokenizer_kwargs={"truncation": True})
pipe("A <mask> text.")[0]["token_str"]
pipe(f"A {pipe.tokenizer.mask_token} text.")
list(pipe(text for text in ["A <mask>.", "The <mask>."]))
list(pipe((text for text in ["A <mask>.", "The <mask>."]), batch_size=2))
pipe(["A <mask>.", "The <mask>."], batch_size=2)
pipe.predict("A <mask> text.")
pipe.transform("A <mask> text.")
pipe.task
pipe.device
pipe.model.config.vocab_size
pipe.tokenizer.mask_token_id
pipe.save_pretrained(tmp)
""",
    fails="""
pipe("No mask.")
pipe(["A <mask>.", "No mask."])
pipe("A <mask> text.", targets=[])
""",
)

section(
    "Pipelines: classification and features",
    {
        "classify": 'pipeline("text-classification", model=nli)',
        "tag": 'pipeline("token-classification", model=ner)',
        "judge": 'pipeline("zero-shot-classification", model=nli)',
        "extract": 'pipeline("feature-extraction", model=bare)',
    },
    """
classify("A film.")
classify(["A film.", "No."])
classify("A film.", top_k=1)
classify("A film.", top_k=None)
classify("A film.", top_k=2)
classify({"text": "A film.", "text_pair": "No film."})
classify("A film.", function_to_apply="sigmoid")
classify("A film.", function_to_apply="none")
classify("A film. " * 200, truncation=True)
classify("A film.", padding=True, truncation=True, max_length=5)
list(classify(text for text in ["A film.", "No."]))
classify.predict(["A film.", "No."])
classify.model.config.id2label
tag("Ada lives in London.")
tag(["Ada lives in London.", "No."])
tag("Ada lives in London.", aggregation_strategy="simple")
tag("Ada lives in London.", aggregation_strategy="first")
tag("Ada lives in London.", aggregation_strategy="average")
tag("Ada lives in London.", aggregation_strategy="max")
tag("Ada lives in London.", ignore_labels=[])
judge("It rains.", candidate_labels=["weather", "sport"])
judge("It rains.", candidate_labels="weather, sport")
judge("It rains.", ["weather", "sport"], multi_label=True)
judge("It rains.", ["weather", "sport"], hypothesis_template="About {}.")
judge(["It rains.", "A goal."], ["weather", "sport"])
extract("A text.")
extract(["A text.", "Another."])
extract("A text.", return_tensors=True)
extract("A text.", tokenize_kwargs={"truncation": True, "max_length": 4})
np.array(extract("A text.")).shape
""",
    fails="""
classify([None])
judge("It rains.", candidate_labels=[])
judge("It rains.", ["weather"], hypothesis_template="no slot")
""",
)

section(
    "Tokenizer",
    {"tok": "AutoTokenizer.from_pretrained(mlm)"},
    """
tok("A text.")
tok("A text.")["input_ids"]
tok("A text.").input_ids
tok("A text.").attention_mask
tok(["A text.", "Another, longer text."], padding=True)
tok(["A text.", "Another, longer text."], padding="max_length", max_length=9)
tok("A longer text for the model.", truncation=True, max_length=4)
tok("A text.", "Its pair.")
tok(["A text."], ["Its pair."], truncation="only_second", max_length=8)
tok("A text.", return_tensors="np")
tok("A text.", return_tensors="pt")
tok("A text.", add_special_tokens=False)
tok("A text.", return_offsets_mapping=True)
tok("A text.", return_special_tokens_mask=True)
tok("A text.", return_attention_mask=False)
tok("A text.", return_token_type_ids=True)
tok("A text.").tokens()
tok("A text.").word_ids()
tok.encode("A text.")
tok.encode("A text.", add_special_tokens=False)
tok.encode("A text.", return_tensors="np")
tok.encode("A text.", "Its pair.")
tok.tokenize("A text.")
tok.convert_tokens_to_ids(["A", "<mask>"])
tok.convert_tokens_to_ids("<mask>")
tok.convert_ids_to_tokens([0, 1, 2])
tok.convert_tokens_to_string(tok.tokenize("A text."))
tok.decode([0, 33, 2])
tok.decode(tok("A text.")["input_ids"], skip_special_tokens=True)
tok.batch_decode(tok(["A text.", "No."])["input_ids"])
tok.pad({"input_ids": [[0, 2], [0, 33, 2]]})
tok.pad([tok("A text."), tok("A much longer text.")])
sorted(tok.get_vocab().items())
len(tok)
tok.all_special_ids
tok.mask_token
tok.mask_token_id
tok.cls_token_id, tok.sep_token_id, tok.pad_token_id, tok.unk_token_id
tok.pad_token, tok.bos_token, tok.eos_token
tok.model_max_length
tok.padding_side
tok.save_pretrained(tmp)
AutoTokenizer.from_pretrained(mlm, use_fast=True)("A text.")
AutoTokenizer.from_pretrained(mlm, model_max_length=4)("A longer text for it.", truncation=True)
AutoTokenizer.from_pretrained(mlm, padding_side="left")(["A text.", "Another, longer text."], padding=True)
""",
    {'tok("A text.", return_tensors="pt").to("meta").keys()': CPU},
    {"tok.vocab_size": "added tokens are counted, as by len(tok)"},
)

section(
    "Configs",
    {"config": "AutoConfig.from_pretrained(nli)"},
    """
config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.vocab_size
config.model_type
config.architectures
config.num_labels
config.id2label
config.label2id["entailment"]
config.to_dict()["hidden_size"]
config.save_pretrained(tmp)
AutoConfig.from_pretrained(nli, num_labels=5).num_labels
AutoConfig.from_pretrained(nli, id2label={0: "a", 1: "b", 2: "c"}).id2label
AutoConfig.from_pretrained(nli, id2label={0: "a", 1: "b", 2: "c"}, label2id={"a": 0, "b": 1, "c": 2}).label2id
setattr(config, "id2label", {0: "x", 1: "y", 2: "z"}) or config.id2label
""",
    {"setattr(config, 'num_hidden_layers', 3)": "num_hidden_layers cannot be changed"},
)

section(
    "Models",
    {
        "tok": "AutoTokenizer.from_pretrained(mlm)",
        "ids": 'tok("A <mask> text.", return_tensors="pt")["input_ids"]',
        "base": 'AutoModel.from_pretrained(bare, attn_implementation="eager").eval()',
        "lm": "AutoModelForMaskedLM.from_pretrained(mlm).eval()",
        "classifier": "AutoModelForSequenceClassification.from_pretrained(nli).eval()",
        "tagger": "AutoModelForTokenClassification.from_pretrained(ner).eval()",
        "reader": "AutoModelForQuestionAnswering.from_pretrained(qa).eval()",
    },
    """
base(**tok("A text.", return_tensors="pt")).last_hidden_state
base(ids).pooler_output
base(ids)[0]
base(ids)["last_hidden_state"]
base(ids).to_tuple()
list(base(ids).keys())
base(ids, output_hidden_states=True).hidden_states
base(ids, output_attentions=True).attentions
base(ids, token_type_ids=torch.zeros_like(ids))[0]
base(ids, attention_mask=torch.ones_like(ids))[0]
base(ids, return_dict=True)[0]
base(inputs_embeds=torch.linspace(-1, 1, 192).reshape(1, 4, 48))[0]
lm(inputs_embeds=torch.linspace(-1, 1, 192).reshape(1, 4, 48)).logits
base(ids).last_hidden_state[:, 0]
lm(ids).logits
lm(ids)["logits"]
lm(ids, labels=ids).loss
lm(ids, labels=ids)[0]
lm(ids, labels=ids)[1]
lm(ids, labels=torch.where(ids == tok.mask_token_id, 33, -100)).loss
lm(ids).logits[0, 2].argmax()
classifier(ids).logits
classifier(ids, labels=torch.tensor([1])).loss
classifier(ids).logits.argmax(-1)
classifier.config.id2label[int(classifier(ids).logits.argmax())]
tagger(ids).logits
tagger(ids, labels=torch.zeros_like(ids)).loss
reader(ids).start_logits
reader(ids).end_logits
reader(ids, start_positions=torch.tensor([1]), end_positions=torch.tensor([2])).loss
AutoModelForSequenceClassification.from_pretrained(nli, num_labels=3)(ids).logits
AutoModelForSequenceClassification.from_pretrained(nli, id2label={0: "a", 1: "b", 2: "c"}).config.id2label
AutoModelForSequenceClassification.from_pretrained(nli, problem_type="multi_label_classification")(ids, labels=torch.tensor([[1.0, 0.0, 1.0]])).loss
AutoModel.from_pretrained(bare, config=AutoConfig.from_pretrained(bare))(ids)[0]
AutoModel.from_pretrained(bare, dtype="auto")(ids)[0]
AutoModel.from_pretrained(bare, attn_implementation="eager")(ids)[0]
AutoModel.from_pretrained(bare, low_cpu_mem_usage=True)(ids)[0]
AutoModel.from_pretrained(bare, use_safetensors=True)(ids)[0]
base.eval()
base.to("cpu")
base.to(torch.device("cpu"))
base.device
base.dtype
base.num_parameters()
sorted(base.state_dict())
base.config.hidden_size
lm.save_pretrained(tmp)
""",
    {
        "AutoModel.from_pretrained(bare).half()": FLOAT32,
        "AutoModel.from_pretrained(bare).bfloat16()": FLOAT32,
        "AutoModel.from_pretrained(bare).double()": FLOAT32,
        "AutoModel.from_pretrained(bare).to(torch.float16)": CPU,
        'AutoModel.from_pretrained(bare).to("meta")': CPU,
        "base.cuda": CPU,
        "AutoModel.from_pretrained(bare).train()": INFERENCE,
        "AutoModel.from_pretrained(bare).requires_grad_(False)": INFERENCE,
        "AutoModel.from_pretrained(bare).gradient_checkpointing_enable()": INFERENCE,
        "list(base.parameters())": ARRAYS,
        "dict(base.named_parameters())": ARRAYS,
        "list(base.modules())": NO_MODULES,
        "dict(base.named_modules())": NO_MODULES,
        "base.get_input_embeddings()": NO_MODULES,
        "base.push_to_hub": "use save_pretrained",
        "base.load_state_dict(base.state_dict())": "load a folder with from_pretrained",
        "AutoModel.from_pretrained(bare).resize_token_embeddings(len(tok) + 1)": "it would have random weights",
        "base(ids, position_ids=torch.arange(2, 2 + ids.shape[1])[None])": "positions follow from input_ids",
        "base(ids, return_dict=False)": "use `outputs.to_tuple()`",
        "AutoModel.from_pretrained(bare, dtype=torch.float16)": FLOAT32,
        "AutoModel.from_pretrained(bare, trust_remote_code=True)": "code of a model is never run",
        "AutoModelForTokenClassification.from_pretrained(mlm)": "the checkpoint has no token-classification head",
        "AutoModelForQuestionAnswering.from_pretrained(mlm)": "the checkpoint has no question-answering head",
    },
    {"base(torch.tensor([[10**6]]))": "a ValueError that names the id, rather than an IndexError"},
    fails='AutoModel.from_pretrained("/no/such/folder")',
)

section(
    "Sentence encoders",
    {"model": "SentenceTransformer(sentences)", "texts": '["It rains.", "A goal.", "Rain falls."]'},
    """
SentenceTransformer(sentences).encode(texts)
SentenceTransformer(sentences, device="cpu").encode(texts)
SentenceTransformer(sentences, truncate_dim=8).encode(texts)
model.encode(texts)
model.encode("It rains.")
model.encode(texts, batch_size=2)
model.encode(texts, show_progress_bar=False)
model.encode(texts, convert_to_tensor=True)
model.encode(texts, convert_to_numpy=True)
model.encode(texts, convert_to_numpy=False)
model.encode(texts, normalize_embeddings=True)
model.encode(texts, prompt="query: ")
model.encode(texts, truncate_dim=4)
model.encode(texts, precision="float32")
model.encode(texts, precision="binary")
model.encode(texts, precision="ubinary")
model.encode(texts, output_value="token_embeddings")
model.encode(texts, device="cpu")
model.encode_query("It rains.")
model.encode_document(texts)
model.similarity(model.encode(texts), model.encode(texts))
model.similarity_pairwise(model.encode(texts), model.encode(texts))
model.similarity_fn_name
model.get_sentence_embedding_dimension()
model.get_embedding_dimension()
model.max_seq_length
model.device
model.eval()
model.to("cpu")
model.tokenizer.mask_token
model.prompts
model.encode(texts, precision="int8")
model.encode(texts, output_value="sentence_embedding")
model.encode(tuple(texts))
model.encode(np.array(texts))
model.get_max_seq_length()
model.save_pretrained(tmp)
""",
    {
        "SentenceTransformer(sentences, trust_remote_code=True)": "code of a model is never run",
        'SentenceTransformer(sentences, model_kwargs={"dtype": torch.float16})': FLOAT32,
        "SentenceTransformer(sentences).half()": FLOAT32,
        "list(model.parameters())": ARRAYS,
        "model.push_to_hub": "use save_pretrained",
    },
    {"model.encode([])": "an array of shape (0, 48), as wide as embeddings, rather than (0,)"},
)

section(
    "Cross-encoders",
    {"model": "CrossEncoder(cross)", "pairs": '[("It rains.", "Rain falls."), ("It rains.", "A goal.")]'},
    """
CrossEncoder(cross).predict(pairs)
CrossEncoder(cross, device="cpu").predict(pairs)
model.predict(pairs)
model.predict(("It rains.", "Rain falls."))
model.predict(pairs, batch_size=1)
model.predict(pairs, show_progress_bar=False)
model.predict(pairs, convert_to_numpy=True)
model.predict(pairs, convert_to_tensor=True)
model.predict(pairs, activation_fn=torch.nn.Identity())
model.predict(pairs, activation_fn=torch.nn.Sigmoid())
model.predict([list(pair) for pair in pairs])
model.predict(pairs, apply_softmax=True)
model.predict([])
model.device
model.max_length
model.num_labels
model.config.num_labels
model.tokenizer.mask_token
model.rank("It rains.", ["Rain falls.", "A goal."])
model.rank("It rains.", ["Rain falls.", "A goal."], top_k=1)
model.rank("It rains.", ["Rain falls.", "A goal."], return_documents=True)
model.save_pretrained(tmp)
""",
)

# How the page says what is a part of a sentence in the error.
REWORDED = {"is a folder and has no revision": "a folder has no revisions"}
LINES = [(title, line) for title, (_, lines) in SECTIONS.items() for line in lines]


# -- evaluation ------------------------------------------------------------------------------------------------------


class Sides:
    """The names that the lines use, in each library."""

    def __init__(self, folder: Path) -> None:
        import sentence_transformers
        import torch
        import transformers
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

        from distilroberta_np.hub import find_embedded
        from tests.support.transformers_models import DISTILROBERTA, randomise

        tokenizer = transformers.AutoTokenizer.from_pretrained(find_embedded(), model_max_length=512)
        small = {"vocab_size": len(tokenizer), "hidden_size": 48, "num_hidden_layers": 2, "intermediate_size": 64}
        names: dict[str, Any] = {"np": np, "torch": torch, "tmp": str(folder / "saved")}
        heads = {"bare": "Model", "mlm": "ForMaskedLM", "nli": "ForSequenceClassification"}
        heads |= {"ner": "ForTokenClassification", "qa": "ForQuestionAnswering"}
        labels = {"nli": ["contradiction", "neutral", "entailment"], "ner": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]}
        for seed, (name, head) in enumerate(heads.items()):
            own = labels.get(name, ["no", "yes"])
            config = transformers.RobertaConfig(
                **DISTILROBERTA | small, id2label=dict(enumerate(own)), label2id={v: k for k, v in enumerate(own)}
            )
            model = getattr(transformers, f"Roberta{head}")._from_config(config, attn_implementation="eager").eval()
            randomise(model, seed)
            names[name] = str(folder / name)
            model.save_pretrained(names[name])
            tokenizer.save_pretrained(names[name])
        names |= {name: str(folder / name) for name in ("sentences", "cross")}
        transformer = Transformer(names["bare"])
        encoder = sentence_transformers.SentenceTransformer(
            modules=[transformer, Pooling(48, "mean")], device="cpu", similarity_fn_name="cosine"
        )
        encoder.save(names["sentences"], create_model_card=False)
        ranker = sentence_transformers.CrossEncoder(names["bare"], num_labels=1, device="cpu")
        randomise(ranker.model, 9)
        ranker.save(names["cross"], create_model_card=False)
        autos = distilroberta_np.auto.__all__
        self.theirs = names | {name: getattr(transformers, name) for name in ("pipeline", *autos)}
        self.ours = names | {name: getattr(distilroberta_np, name) for name in ("pipeline", *autos)}
        self.theirs |= {name: getattr(sentence_transformers, name) for name in ("SentenceTransformer", "CrossEncoder")}
        self.ours |= {
            "SentenceTransformer": distilroberta_np.SentenceEncoder,
            "CrossEncoder": distilroberta_np.CrossEncoder,
        }
        self._given: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def of(self, title: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The names of a section: theirs and ours."""
        if title not in self._given:
            sides = dict(self.theirs), dict(self.ours)
            for side in sides:
                for name, code in SECTIONS[title][0].items():
                    side[name] = eval(code, side)
            self._given[title] = sides
        return self._given[title]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    for library in ("torch", "transformers", "sentence_transformers"):
        pytest.importorskip(library, reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
    import torch

    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        yield Sides(tmp_path_factory.mktemp("folders"))


def plain(value: Any) -> Any:
    """Results of both libraries as Python's and NumPy's own types; a model or another object is the same as any."""
    if value is None or isinstance(value, str | int | float | bool | np.ndarray):
        return value
    if type(value).__module__ == "torch" and hasattr(value, "detach"):
        return value.detach().numpy()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if type(value).__name__ in ("dtype", "device") or isinstance(value, np.dtype):
        return str(value).removeprefix("torch.")
    return "an object"


def assert_equal(ours: Any, theirs: Any) -> None:
    if isinstance(ours, np.ndarray) or isinstance(theirs, np.ndarray | float):
        assert np.shape(ours) == np.shape(theirs)
        quantized = np.asarray(theirs).dtype == np.int8  # where a rounding decides between two levels
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1 if quantized else 2e-5)
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict)
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_equal(ours[key], theirs[key])
    elif isinstance(theirs, list):
        assert isinstance(ours, list)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_equal(one, other)
    else:
        assert ours == theirs


def result(code: str, names: dict[str, Any]) -> Any:
    """What a line gives, or the exception that it raises."""
    try:
        value = eval(code, names)
        return None if "save_pretrained(" in code else plain(value)  # transformers returns the names of files
    except Exception as error:
        return error


@pytest.mark.parametrize(("title", "line"), LINES, ids=[line.code for _, line in LINES])
def test_line(sides, title, line):
    expected, ours = (result(line.code, names) for names in sides.of(title))
    if line.refused is not None:
        assert not isinstance(expected, Exception), "transformers does not take it either"
        assert isinstance(ours, ValueError | TypeError | AttributeError | distilroberta_np.DistilRobertaError)
        assert line.refused in str(ours)
    elif line.differs is not None:
        assert not isinstance(ours, Exception) or f"a {type(ours).__name__} " in line.differs
        with pytest.raises(AssertionError):
            assert_same(ours, expected)
    else:
        assert isinstance(expected, Exception) == line.fails, expected
        assert_same(ours, expected)


def assert_same(ours: Any, expected: Any) -> None:
    """Equal results, or errors of which the one of transformers is among the classes of ours, by their names."""
    if isinstance(expected, Exception):
        assert type(expected).__name__ in [each.__name__ for each in type(ours).__mro__], (ours, expected)
    elif isinstance(ours, Exception):
        raise AssertionError(ours) from ours
    else:
        assert_equal(ours, expected)


# -- the page --------------------------------------------------------------------------------------------------------


def page() -> str:
    refused, differs = (sum(line[index] is not None for _, line in LINES) for index in (1, 2))
    text = [
        "# Compatibility",
        "",
        f"These are {len(LINES)} one-line uses of transformers and sentence-transformers.",
        "",
        f"- {len(LINES) - refused - differs} work: the results are equal up to rounding. Where transformers raises an",
        "  error, code that catches it catches the error of this package.",
        f"- {differs} give another result, for the reason in the table.",
        f"- {refused} are refused with an error that gives the reason. Most belong to torch (parameters, half precision,",
        "  GPUs, training) or would answer at random (a head without weights); the others would run code of a model, or",
        "  have another way here.",
        "",
        "`SentenceTransformer` is `SentenceEncoder` here. The folders hold small models: `mlm`, `nli`, `ner` and `qa` have",
        "a head each, `bare` is an encoder, and `sentences` and `cross` are models of sentence-transformers.",
        "",
        "`tests/parity/test_one_liners.py` runs every line in both libraries, and",
        "`python -m tests.parity.test_one_liners` writes this page.",
    ]
    for title, (given, lines) in SECTIONS.items():
        text += ["", f"## {title}", ""]
        if given:
            text += ["```text", *(f"{name} = {code}" for name, code in given.items()), "```", ""]
        text += ["| line | here |", "| --- | --- |", *(f"| `{line.code}` | {_verdict(line)} |" for line in lines)]
    return "\n".join(text) + "\n"


def _verdict(line: Line) -> str:
    if line.refused is not None:
        return f"refused: {REWORDED.get(line.refused, line.refused)}"
    if line.differs is not None:
        return f"differs: {line.differs}"
    return "raises the same error" if line.fails else "works"


def test_the_page_shows_these_lines():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.parity.test_one_liners"
    assert len(LINES) >= 120
    assert len(set(LINES)) == len(LINES)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
