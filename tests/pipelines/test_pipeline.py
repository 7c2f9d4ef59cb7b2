import inspect

import numpy as np
import pytest

from distilroberta_np import (
    CheckpointError,
    ConfigError,
    DistilRobertaError,
    FeatureExtractionPipeline,
    FillMaskPipeline,
    HubError,
    PipelineException,
    RobertaForMaskedLM,
    RobertaModel,
    RobertaTokenizer,
    TextClassificationPipeline,
    TokenizerError,
    pipeline,
)
from distilroberta_np.analysis import PseudoLikelihoodScorer
from distilroberta_np.models.question_answering import question_answering_keys
from distilroberta_np.models.token_classification import token_classification_keys
from distilroberta_np.pipelines import PIPELINES, base
from distilroberta_np.pipelines.options import declared
from distilroberta_np.pipelines.results import Results
from tests.conftest import CountingBar
from tests.support.answers import assert_same
from tests.support.seeded import write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier

TEXT = "the <mask> sat"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


def test_a_folder_as_a_path_or_a_string_and_a_loaded_model_answer_alike(folder):
    expected = pipeline("fill-mask", folder)(TEXT)
    model, tokenizer = RobertaForMaskedLM.from_pretrained(folder), RobertaTokenizer.from_pretrained(folder)
    assert pipeline("fill-mask", str(folder))(TEXT) == expected
    assert pipeline("fill-mask", model=model, tokenizer=tokenizer)(TEXT) == expected
    assert pipeline("fill-mask", model=model, tokenizer=folder)(TEXT) == expected
    assert pipeline("fill-mask", folder, tokenizer)(TEXT) == expected
    assert FillMaskPipeline(model, tokenizer)(TEXT) == expected


def test_a_tokenizer_of_another_folder(tmp_path, folder):
    bare = write_model(tmp_path, tokenizer=False)
    assert pipeline("fill-mask", bare, folder)(TEXT) == pipeline("fill-mask", folder)(TEXT)
    with pytest.raises(TokenizerError, match=r"no tokenizer\.json"):
        pipeline("fill-mask", bare)


def test_parameters_become_defaults(folder):
    assert len(pipeline("fill-mask", folder, top_k=2)(TEXT)) == 2
    with pytest.raises(ValueError, match="top_k must be at least 0"):
        pipeline("fill-mask", folder, top_k=-1)
    with pytest.raises(TypeError, match="unknown option 'backend'"):
        pipeline("fill-mask", folder, backend="torch")


def test_without_a_model_the_embedded_one_answers_and_stderr_says_so(monkeypatch, capsys):
    monkeypatch.setattr("distilroberta_np.hub.find_published", lambda: None)
    assert len(pipeline("fill-mask")(TEXT)) == 5
    output = capsys.readouterr()
    assert "embedded model" in output.err
    assert "distilroberta-np download" in output.err
    assert output.out == ""


@pytest.mark.parametrize("task", ["text-generation", "fill_mask", "", [], 5])
def test_an_unknown_task(folder, task):
    with pytest.raises(ValueError, match=r"unknown task .*; the tasks are .*fill-mask"):
        pipeline(task, folder)


@pytest.mark.parametrize("device", [None, "cpu", -1])
def test_the_cpu_by_each_of_its_names(folder, device):
    assert len(pipeline("fill-mask", folder, device=device)(TEXT)) == 5


@pytest.mark.parametrize("device", [0, "cuda", "cuda:0", "mps", 1])
def test_another_device(folder, device):
    with pytest.raises(ValueError, match=f"device {device!r} is not supported: this package runs on the CPU"):
        pipeline("fill-mask", folder, device=device)


def test_a_loaded_model_needs_a_tokenizer_and_takes_no_revision(folder):
    model = RobertaForMaskedLM.from_pretrained(folder)
    with pytest.raises(ValueError, match="a loaded model needs its tokenizer"):
        pipeline("fill-mask", model)
    with pytest.raises(ValueError, match="revision 'main' is given with a loaded model"):
        pipeline("fill-mask", model, folder, revision="main")


def test_a_revision_needs_a_name(folder):
    with pytest.raises(ValueError, match="revision 'main' is given without a model"):
        pipeline("fill-mask", revision="main")
    with pytest.raises(HubError, match="is a folder and has no revision"):
        pipeline("fill-mask", folder, revision="main")


@pytest.mark.parametrize("model", [5, b"folder", ["folder"], {}, RobertaModel])
def test_what_is_no_model(folder, model):
    with pytest.raises(TypeError, match="model must be a folder, a name or a loaded model, not"):
        pipeline("fill-mask", model)
    with pytest.raises(TypeError, match="tokenizer must be a folder, a name or a RobertaTokenizer, not"):
        pipeline("fill-mask", folder, model)


def test_an_encoder_alone_can_not_fill_masks(folder):
    encoder = RobertaModel.from_pretrained(folder)
    with pytest.raises(TypeError, match="not RobertaModel"):
        pipeline("fill-mask", encoder, folder)


def test_a_tokenizer_that_does_not_belong_to_the_model(tmp_path, folder):
    other = write_model(tmp_path, vocab_size=100, num_hidden_layers=1)
    with pytest.raises(PipelineException, match="the id 273, but the model has only 100 tokens; they do not belong"):
        pipeline("fill-mask", other)("<mask>")


@pytest.mark.parametrize(
    ("name", "error"),
    [("config.json", ConfigError), ("model.safetensors", CheckpointError), ("tokenizer.json", TokenizerError)],
)
def test_each_damaged_file_has_its_error(tmp_path, name, error):
    write_model(tmp_path)
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(error, match=name) as caught:
        pipeline("fill-mask", tmp_path)
    assert isinstance(caught.value, DistilRobertaError)
    (tmp_path / name).unlink()
    with pytest.raises(error, match=name):
        pipeline("fill-mask", tmp_path)


def test_an_unknown_option_is_named_with_the_one_that_was_meant(folder):
    with pytest.raises(TypeError, match=r"unknown option 'backend'; the options are .*top_k, targets"):
        pipeline("fill-mask", folder, backend="torch")
    with pytest.raises(TypeError, match=r"unknown option 'topk'; did you mean top_k\?"):
        pipeline("fill-mask", folder, topk=1)


@pytest.mark.parametrize("pipeline_type", sorted(set(PIPELINES.values()), key=lambda value: value.__name__))
def test_every_option_is_documented_with_its_default(pipeline_type):
    known = declared(pipeline_type.options_type)
    signature = inspect.signature(pipeline_type.__call__)
    for name, option in known.items():
        documentation = " ".join(pipeline_type.__call__.__doc__.split())
        assert f" {name}: {option.help}" in documentation
        assert signature.parameters[name].default == option.default
    assert "options" not in signature.parameters


def test_a_pipeline_shows_its_model_and_the_options_that_it_was_made_with(folder):
    model = repr(RobertaForMaskedLM.from_pretrained(folder))
    assert repr(pipeline("fill-mask", folder)) == f"FillMaskPipeline({model})"
    assert repr(pipeline("fill-mask", folder, top_k=2, joint=True)) == f"FillMaskPipeline({model}, top_k=2, joint=True)"


@pytest.mark.parametrize(
    "harmless",
    [
        {"dtype": "float32", "torch_dtype": "auto", "framework": "pt", "device": -1, "device_map": "auto"},
        {"dtype": np.float32, "use_fast": True, "token": None, "trust_remote_code": False, "num_workers": 2},
        {"model_kwargs": {"torch_dtype": "float32", "attn_implementation": "sdpa"}, "token": False, "device": "cpu"},
    ],
)
def test_arguments_that_change_nothing_are_taken(folder, harmless):
    assert pipeline("fill-mask", folder, **harmless)(TEXT) == pipeline("fill-mask", folder)(TEXT)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"dtype": "float16"}, "dtype 'float16' is not supported: the computation is in float32"),
        ({"torch_dtype": np.float16}, "torch_dtype .* is not supported"),
        ({"device_map": "balanced"}, "device_map 'balanced' is not supported: this package runs on the CPU"),
        ({"framework": "jax"}, "the framework is NumPy"),
        ({"token": "hf_secret"}, "token.* is not supported: log in with"),
        ({"trust_remote_code": True}, "code of a model is never run"),
        ({"model_kwargs": {"dtype": "bfloat16"}}, "model_kwargs: dtype 'bfloat16' is not supported"),
        ({"config": "other"}, "config is not the model's own"),
    ],
)
def test_arguments_that_would_change_something_are_refused_with_the_reason(folder, tmp_path, argument, message):
    if argument == {"config": "other"}:
        argument = {"config": write_model(tmp_path, num_hidden_layers=1)}
    with pytest.raises(ValueError, match=message):
        pipeline("fill-mask", folder, **argument)


def test_the_token_is_not_shown(folder):
    with pytest.raises(ValueError, match="token is not supported") as caught:
        pipeline("fill-mask", folder, token="hf_secret")
    assert "secret" not in str(caught.value)


def test_without_a_task_the_model_says_what_it_was_trained_for(tmp_path, folder):
    for name, pipeline_type in (
        ("RobertaForMaskedLM", FillMaskPipeline),
        ("RobertaModel", FeatureExtractionPipeline),
    ):
        made = write_model(tmp_path / name, architectures=[name])
        assert type(pipeline(model=made)) is pipeline_type
    classifier = write_classifier(
        tmp_path / "classifier", ["a", "b"], architectures=["RobertaForSequenceClassification"]
    )
    assert type(pipeline(model=classifier, top_k=2)) is TextClassificationPipeline
    model, tokenizer = RobertaForMaskedLM.from_pretrained(folder), RobertaTokenizer.from_pretrained(folder)
    assert type(pipeline(model=model, tokenizer=tokenizer)) is FillMaskPipeline
    with pytest.raises(ValueError, match=r"the model's config names no architecture; name the task"):
        pipeline(model=write_model(tmp_path / "none"))
    with pytest.raises(ValueError, match="give a task, or a model"):
        pipeline()


def test_options_are_checked_before_anything_is_loaded(tmp_path):
    with pytest.raises(ValueError, match="top_k must be at least 0"):
        pipeline("fill-mask", tmp_path / "missing", top_k=-1)


def test_what_catches_the_errors_of_transformers_catches_ours(folder, tmp_path):
    unmasker = pipeline("fill-mask", folder)
    for wrong in (None, 5, b"<mask>"):
        with pytest.raises(ValueError, match="must be a text"):
            unmasker([wrong])
        with pytest.raises(TypeError, match="must be a text"):
            unmasker([wrong])
    head = tensors_with_head(question_answering_keys)
    oracle = pipeline("question-answering", write_model(tmp_path, head))
    with pytest.raises(KeyError) as caught:
        oracle({"question": "Who?"})
    assert isinstance(caught.value, PipelineException)
    assert str(caught.value).startswith("You need to provide a dictionary")


MIXED = ["the <mask> sat", "on the <mask>", "the <mask> sat", "<mask>"]


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory, folder):
    """A pipeline of each kind, and inputs for it of which two are equal."""
    classifier = write_classifier(tmp_path_factory.mktemp("a"), ["contradiction", "entailment"])
    labels = {"id2label": {"0": "B-PER", "1": "I-PER"}}
    tagger = write_model(tmp_path_factory.mktemp("b"), tensors_with_head(token_classification_keys, **labels), **labels)
    oracle = write_model(tmp_path_factory.mktemp("c"), tensors_with_head(question_answering_keys))
    questions = [{"question": "Who?", "context": text} for text in MIXED]
    model, tokenizer = RobertaForMaskedLM.from_pretrained(folder), RobertaTokenizer.from_pretrained(folder)
    return {
        "fill-mask": (pipeline("fill-mask", folder), MIXED),
        "feature-extraction": (pipeline("feature-extraction", folder), MIXED),
        "text-classification": (pipeline("text-classification", classifier), MIXED),
        "token-classification": (pipeline("token-classification", tagger, aggregation_strategy="simple"), MIXED),
        "question-answering": (pipeline("question-answering", oracle), questions),
        "zero-shot-classification": (
            pipeline("zero-shot-classification", classifier, candidate_labels=["cat", "on"]), MIXED
        ),
        "scorer": (PseudoLikelihoodScorer(model, tokenizer), [text.replace("<mask>", "cat") for text in MIXED]),
    }  # fmt: skip


KINDS = sorted({kind.tasks[0] for kind in PIPELINES.values()} | {"scorer"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_progress_bar_counts_the_texts_of_every_pipeline(pipelines, kind, bars, monkeypatch):
    answer, inputs = pipelines[kind]
    expected = answer(inputs)
    assert bars == []
    assert_same(answer(inputs, progress=True), expected, rel=1e-4, abs=1e-6)
    assert_same(list(answer(iter(inputs), progress=True)), expected, rel=1e-4, abs=1e-6)
    assert_same(list(answer.answers(inputs, progress=True)), expected, rel=1e-4, abs=1e-6)
    assert [(bar.total, bar.done) for bar in bars] == [(4, 4), (None, 4), (4, 4)]
    answer(inputs[0], progress=True)
    assert len(bars) == 3
    monkeypatch.setattr(base, "_STEP_TOKENS", 1)
    assert_same(answer(inputs, progress=True), expected, rel=1e-4, abs=1e-6)
    assert [count for count in bars[-1].steps if count] == [1, 2, 1]  # the third input is the first again


def test_a_progress_bar_counts_inputs_without_an_answer(pipelines, bars):
    unmasker, _ = pipelines["fill-mask"]
    own = CountingBar(None)
    answers = list(unmasker.answers(["a <mask>", "no mask", 5, "b <mask>"], progress=own))
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, True, False]
    assert own.done == 4
    assert bars == []
    with pytest.raises(PipelineException, match="input 1"):
        list(unmasker(iter(["a <mask>", "no mask"]), progress=True))
    assert bars[0].total is None


def test_what_is_no_progress_bar(folder):
    with pytest.raises(TypeError, match="progress must be True, False or a bar with a method update, not 1"):
        pipeline("fill-mask", folder, progress=1)


@pytest.mark.parametrize("kind", KINDS)
def test_costly_inputs_are_computed_in_more_steps(pipelines, kind):
    answer, inputs = pipelines[kind]
    options = answer._options()
    costs = [answer._cost(answer._read(item, None, options), options) for item in (inputs[0], inputs[3])]
    assert costs[0] > costs[1] > 0


def test_the_cost_of_a_search_and_of_many_labels(pipelines):
    def cost(kind, text, **options):
        answer, _ = pipelines[kind]
        resolved = answer._options(**options)
        return answer._cost(answer._read(text, None, resolved), resolved)

    once = cost("fill-mask", TEXT)
    assert cost("fill-mask", TEXT, joint=True) == 16 * once
    assert cost("fill-mask", TEXT, targets=["cat", "on", "the"], whole_words=True) == 3 * once
    one = cost("zero-shot-classification", TEXT, candidate_labels=["cat"])
    assert cost("zero-shot-classification", TEXT, candidate_labels=["cat", "cat", "cat"]) == 3 * one


@pytest.mark.parametrize("kind", KINDS)
def test_lists_and_rankings_are_results_and_all_else_is_plain(pipelines, kind):
    answer, inputs = pipelines[kind]
    results = answer(inputs)
    if kind == "feature-extraction":
        assert type(results) is type(answer(inputs[0])) is list
        return
    assert type(results) is Results
    assert all(type(result) in (list, dict) for result in results)
    assert {row["input"] for row in results.to_records()} >= {0, 1, 2}
    assert type(answer(inputs[0])) in (Results, dict)
    assert all(type(each) in (list, dict) for each in answer.answers(inputs))
