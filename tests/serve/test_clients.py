"""The clients that people use, unchanged, against a running server."""

import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

pytest.importorskip("uvicorn", reason="needs the serve extra: pip install '.[serve]'")

from tests.support.served import by_task


def test_inference_client(server, models):
    client = InferenceClient(model=server.address)
    filled = client.fill_mask("a <mask>", top_k=2)
    expected = by_task(models, "fill-mask").pipeline("fill-mask")("a <mask>", top_k=2)
    assert [row.token for row in filled] == [row["token"] for row in expected]

    def at(name):
        return InferenceClient(model=f"{server.address}/models/{name}")

    assert {row.label for row in at("mood").text_classification("a b")} == {"bad", "fair", "good"}
    entities = at("tags").token_classification("the cat sat on the cat")
    expected = by_task(models, "token-classification").pipeline("token-classification")
    assert len(entities) == len(expected("the cat sat on the cat", aggregation_strategy="simple")) > 0
    assert all(row.entity_group for row in entities)
    assert at("answers").question_answering(question="Where?", context="I live in Berlin.").answer
    zero_shot = at("nli").zero_shot_classification("a", ["cat", "on"])
    assert {row.label for row in zero_shot} == {"cat", "on"}
    assert at("an/encoder").feature_extraction("a b").shape == (1, 16)
    assert len(at("an/encoder").sentence_similarity("a b", other_sentences=["a", "b"])) == 2
    with pytest.raises(HfHubHTTPError, match="No mask_token"):
        client.fill_mask("nothing")


def test_openai_client(server, models):
    openai = pytest.importorskip("openai", reason="needs the clients extra")
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="any") as client:
        answer = client.embeddings.create(model="an/encoder", input=["a b", "the cat"])
        expected = by_task(models, "sentence-similarity")._model.encode(["a b", "the cat"], normalize_embeddings=True)
        assert np.allclose([row.embedding for row in answer.data], expected, atol=1e-5)
        assert [model.id for model in client.models.list()] == [model.name for model in models]
        with pytest.raises(openai.UnprocessableEntityError):
            client.embeddings.create(model="an/encoder", input="a", dimensions=0)


def test_langchain(server, models):
    langchain = pytest.importorskip("langchain_huggingface", reason="needs langchain-huggingface")
    embeddings = langchain.HuggingFaceEndpointEmbeddings(model="an/encoder")  # it refuses addresses
    embeddings.client = InferenceClient(model=f"{server.address}/models/an/encoder")
    expected = by_task(models, "sentence-similarity")._model.encode(["a b", "the cat"])
    assert np.allclose(embeddings.embed_documents(["a b", "the cat"]), expected, atol=1e-5)
    assert np.allclose(embeddings.embed_query("the cat"), expected[1], atol=1e-5)
