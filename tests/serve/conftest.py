"""A server on the loopback with small seeded models of every task."""

import pytest

from distilroberta_np.models.token_classification import token_classification_keys
from tests.support.seeded import write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier
from tests.support.seeded_question_answering import write_question_answering
from tests.support.sentence_folders import write_cross_encoder, write_sentence_encoder


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """One loaded model of every task; the first fills masks."""
    pytest.importorskip("starlette", reason="needs the serve extra: pip install '.[serve]'")
    from distilroberta_np.serve.loaded import ServedModel, Source

    base = tmp_path_factory.mktemp("served")
    tags = {"id2label": {"0": "B-LOC", "1": "B-PER", "2": "I-PER"}}
    folders = {
        "fill": ("fill-mask", write_model(base / "fill")),
        "mood": ("text-classification", write_classifier(base / "mood", ["bad", "fair", "good"])),
        "nli": ("zero-shot-classification", write_classifier(base / "nli", ["contradiction", "neutral", "entailment"])),
        "tags": (
            "token-classification",
            write_model(base / "tags", tensors_with_head(token_classification_keys, **tags), **tags),
        ),
        "answers": ("question-answering", write_question_answering(base / "answers")),
        "an/encoder": ("sentence-similarity", write_sentence_encoder(base / "encoder")),
        "ranker": ("text-ranking", write_cross_encoder(base / "ranker")),
    }
    return [ServedModel(Source(name, task, str(folder))) for name, (task, folder) in folders.items()]


@pytest.fixture(scope="session")
def server(models):
    from distilroberta_np.serve.app import Options, make_app
    from tests.support.served import running

    with running(make_app(models, Options(access_log=False))) as server:
        yield server
