"""Folders of small seeded models of every task, by the names under which tests serve them; the first fills masks."""

from pathlib import Path

from distilroberta_np.models.token_classification import token_classification_keys
from tests.support.seeded import write_model
from tests.support.seeded_heads import tensors_with_head, write_classifier
from tests.support.seeded_question_answering import write_question_answering
from tests.support.sentence_folders import write_cross_encoder, write_sentence_encoder

TASKS = {
    "fill": "fill-mask",
    "mood": "text-classification",
    "nli": "zero-shot-classification",
    "tags": "token-classification",
    "answers": "question-answering",
    "an/encoder": "sentence-similarity",
    "ranker": "text-ranking",
}


def write_models(base: Path) -> dict[str, Path]:
    tags = {"id2label": {"0": "B-LOC", "1": "B-PER", "2": "I-PER"}}
    return {
        "fill": write_model(base / "fill"),
        "mood": write_classifier(base / "mood", ["bad", "fair", "good"]),
        "nli": write_classifier(base / "nli", ["contradiction", "neutral", "entailment"]),
        "tags": write_model(base / "tags", tensors_with_head(token_classification_keys, **tags), **tags),
        "answers": write_question_answering(base / "answers"),
        # Not the mean of the hidden states, so that it gives other embeddings than "fill".
        "an/encoder": write_sentence_encoder(base / "encoder", pooling={"pooling_mode": "cls"}),
        "ranker": write_cross_encoder(base / "ranker"),
    }
