import pytest

from distilroberta_np import (
    CheckpointError,
    ConfigError,
    DistilRobertaError,
    FillMaskPipeline,
    HubError,
    PipelineException,
    RobertaForMaskedLM,
    RobertaModel,
    RobertaTokenizer,
    TokenizerError,
    pipeline,
)
from tests.support.seeded import write_model

TEXT = "the <mask> sat"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


def test_a_folder_as_a_path_or_a_string_and_a_loaded_model_answer_alike(folder):
    wanted = pipeline("fill-mask", folder)(TEXT)
    model, tokenizer = RobertaForMaskedLM.from_pretrained(folder), RobertaTokenizer.from_pretrained(folder)
    assert pipeline("fill-mask", str(folder))(TEXT) == wanted
    assert pipeline("fill-mask", model=model, tokenizer=tokenizer)(TEXT) == wanted
    assert pipeline("fill-mask", model=model, tokenizer=folder)(TEXT) == wanted
    assert pipeline("fill-mask", folder, tokenizer)(TEXT) == wanted
    assert FillMaskPipeline(model, tokenizer)(TEXT) == wanted


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
    with pytest.raises(ValueError, match=f"device {device!r} is not supported: pipelines run on the CPU"):
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
