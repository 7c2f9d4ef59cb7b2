"""The JavaScript clients under Node: `npm install @huggingface/inference openai` in the folder NODE_CLIENTS."""

import json
import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.slow

HUGGINGFACE = """
import { InferenceClient } from "@huggingface/inference";
const first = new InferenceClient().endpoint(process.argv[2]);
const at = (name) => new InferenceClient().endpoint(`${process.argv[2]}/models/${name}`);
console.log(JSON.stringify({
  filled: await first.fillMask({ inputs: "a <mask>", parameters: { top_k: 2 } }),
  labels: await at("mood").textClassification({ inputs: "a b" }),
  entities: await at("tags").tokenClassification({ inputs: "the cat" }),
  answer: await at("answers").questionAnswering({ inputs: { question: "Where?", context: "I live in Berlin." } }),
  zeroShot: await at("nli").zeroShotClassification({ inputs: "a", parameters: { candidate_labels: ["cat", "on"] } }),
  features: await at("an/encoder").featureExtraction({ inputs: "a b" }),
  similarity: await at("an/encoder").sentenceSimilarity({ inputs: { source_sentence: "a", sentences: ["a", "b"] } }),
  error: await first.fillMask({ inputs: "none" }).catch((error) => error.message),
}));
"""
OPENAI = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "any" });
const answer = await client.embeddings.create({ model: "an/encoder", input: ["a b", "the cat"] });
console.log(JSON.stringify(answer.data.map((row) => row.embedding)));
"""


@pytest.fixture(scope="module")
def run(server, tmp_path_factory):
    folder = os.environ.get("NODE_CLIENTS")
    if not folder or shutil.which("node") is None:
        pytest.skip("set NODE_CLIENTS to a folder in which `npm install @huggingface/inference openai` was run")

    def run_script(name, script):
        path = f"{folder}/{name}.mjs"  # Node looks for packages next to the script
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        command = ["node", path, server.address]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    return run_script


def test_huggingface_inference(run, models):
    answers = run("huggingface", HUGGINGFACE)
    pipelines = {model.name: model for model in models}
    expected = pipelines["fill"].pipeline("fill-mask")("a <mask>", top_k=2)
    assert [row["token"] for row in answers["filled"]] == [row["token"] for row in expected]
    assert {row["label"] for row in answers["labels"]} == {"bad", "fair", "good"}
    entities = pipelines["tags"].pipeline("token-classification")("the cat", aggregation_strategy="simple")
    assert len(answers["entities"]) == len(entities) > 0
    assert all(row["entity_group"] for row in answers["entities"])
    assert answers["answer"]["answer"]
    assert {row["label"] for row in answers["zeroShot"]} == {"cat", "on"}
    assert len(answers["features"][0]) == 16
    assert len(answers["similarity"]) == 2
    assert "No mask_token" in answers["error"]


def test_openai(run, models):
    encoder = next(model for model in models if model.name == "an/encoder")._model
    expected = encoder.encode(["a b", "the cat"], normalize_embeddings=True)
    for row, embedding in zip(run("openai", OPENAI), expected, strict=True):
        assert row == pytest.approx(embedding.tolist(), abs=1e-5)
