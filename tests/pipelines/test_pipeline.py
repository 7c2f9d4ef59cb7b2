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
from distilroberta_np.models.question_answering import question_answering_keys
from distilroberta_np.pipelines import PIPELINES
from distilroberta_np.pipelines.options import declared
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
    with pytest.raises(TypeError, match="not a RobertaModel"):
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
