"""Each protocol, request by request: answers equal those of the pipelines, errors have the protocol's form."""

import base64
import concurrent.futures
import json
import socket
import threading
import time

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra: pip install '.[serve]'")

from distilroberta_np.errors import CheckpointError
from distilroberta_np.serve.app import Options, make_app
from distilroberta_np.serve.protocol import Limits
from tests.support.answers import close
from tests.support.served import by_task, running


def test_fill_mask(server, models):
    pipe = by_task(models, "fill-mask").pipeline("fill-mask")
    for path in ("/", "/models/fill", "/pipeline/fill-mask/fill", "/models/fill/pipeline/fill-mask"):
        answer = server.post(path, {"inputs": "a <mask> b", "parameters": {"top_k": 2}})
        assert close(answer, pipe("a <mask> b", top_k=2))
    assert close(server.post("/", {"inputs": ["a <mask>", "<mask> c"]}), pipe(["a <mask>", "<mask> c"]))
    assert close(server.post("/", {"inputs": "<mask> <mask>"}), pipe("<mask> <mask>"))


def test_text_classification_is_nested_with_all_labels(server, models):
    pipe = by_task(models, "text-classification").pipeline("text-classification")
    assert close(server.post("/models/mood", {"inputs": "a b"}), [pipe("a b", top_k=3)])
    assert close(server.post("/models/mood", {"inputs": "a b", "parameters": {"top_k": 1}}), [pipe("a b", top_k=1)])


def test_token_classification_groups_by_default(server, models):
    pipe = by_task(models, "token-classification").pipeline("token-classification")
    answer = server.post("/models/tags", {"inputs": "the cat sat"})
    assert close(answer, json.loads(json.dumps(pipe("the cat sat", aggregation_strategy="simple"), default=float)))


def test_question_answering(server, models):
    pipe = by_task(models, "question-answering").pipeline("question-answering")
    inputs = {"question": "Where?", "context": "I live in Berlin."}
    for path in ("/", "/models/answers"):
        assert close(server.post(path, {"inputs": inputs}), pipe(**inputs))
    answer = server.post("/models/answers", {"inputs": inputs, "parameters": {"top_k": 2}})
    assert close(answer, pipe(**inputs, top_k=2))


def test_zero_shot_has_the_form_of_the_client(server, models):
    pipe = by_task(models, "zero-shot-classification").pipeline("zero-shot-classification")
    body = {"inputs": "a b", "parameters": {"candidate_labels": ["cat", "on"]}}
    expected = pipe("a b", candidate_labels=["cat", "on"])
    pairs = [
        {"label": label, "score": score} for label, score in zip(expected["labels"], expected["scores"], strict=True)
    ]
    assert close(server.post("/models/nli", body), pairs)
    assert close(server.post("/models/nli", body, headers={"user-agent": "unknown/None; hf_hub/2.4.0"}), pairs)
    assert close(server.post("/models/nli", body, headers={"user-agent": "unknown/None; hf_hub/0.34.4"}), expected)


def test_zero_shot_labels_and_template(server, models):
    pipe = by_task(models, "zero-shot-classification").pipeline("zero-shot-classification")
    parameters = {"candidate_labels": "cat, on,", "hypothesis_template": "{{{0}}} is {0}"}
    answer = server.post("/models/nli", {"inputs": "a b", "parameters": parameters})
    expected = pipe("a b", **parameters)
    assert [row["label"] for row in answer] == expected["labels"]
    assert sorted(expected["labels"]) == ["cat", "on"]
    assert close([row["score"] for row in answer], expected["scores"])


def test_embeddings_in_three_protocols(server, models):
    encoder = by_task(models, "sentence-similarity")._model
    expected = encoder.encode(["a b", "the cat"])
    normal = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(server.post("/embed", {"inputs": ["a b", "the cat"], "normalize": False}), expected, atol=1e-5)
    assert np.allclose(server.post("/embed", {"inputs": "a b"}), normal[:1], atol=1e-5)
    assert np.allclose(server.post("/models/an/encoder", {"inputs": "a b"}), expected[:1], atol=1e-5)
    floats = server.post("/v1/embeddings", {"input": ["a b", "the cat"], "model": "unknown"})
    assert np.allclose([row["embedding"] for row in floats["data"]], normal, atol=1e-5)
    assert floats["usage"]["prompt_tokens"] == floats["usage"]["total_tokens"] > 0
    assert floats["model"] == "an/encoder"  # "fill", which gives embeddings too, comes first
    packed = server.post("/v1/embeddings", {"input": "the cat", "encoding_format": "base64"})
    values = np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), "<f4")
    assert np.allclose(values, normal[1], atol=1e-5)
    short = np.array(server.post("/embed", {"inputs": "a b", "dimensions": 3}))
    assert np.allclose(short, expected[:1, :3] / np.linalg.norm(expected[0, :3]), atol=1e-5)


def test_token_embeddings_of_a_long_text_are_truncated(server, models):
    encoder = by_task(models, "sentence-similarity")._model
    (answer,) = server.post("/embed_all", {"inputs": "the cat " * 600})
    assert np.allclose(answer, encoder.encode("the cat " * 600, output_value="token_embeddings"), atol=1e-5)
    assert len(answer) == 512


def test_similarity(server, models):
    encoder = by_task(models, "sentence-similarity")._model
    body = {"inputs": {"source_sentence": "a b", "sentences": ["the cat", "a b"]}}
    embeddings = encoder.encode(["a b", "the cat", "a b"])
    expected = encoder.similarity(embeddings[:1], embeddings[1:])[0]
    for path in ("/", "/similarity", "/models/an/encoder", "/pipeline/sentence-similarity/an/encoder"):
        assert np.allclose(server.post(path, body), expected, atol=1e-5)


def test_rerank(server, models):
    ranker = by_task(models, "text-ranking")._model
    texts = ["the cat", "sat", "on a"]
    scores = ranker.predict([("a", text) for text in texts])
    answer = server.post("/rerank", {"query": "a", "texts": texts, "return_text": True})
    order = np.argsort(-scores, kind="stable").tolist()
    assert [row["index"] for row in answer] == order
    assert [row["text"] for row in answer] == [texts[index] for index in order]
    assert np.allclose([row["score"] for row in answer], scores[order], atol=1e-5)
    raw = server.post("/rerank", {"query": "a", "texts": texts, "raw_scores": True})
    assert np.allclose(1 / (1 + np.exp([-row["score"] for row in raw])), scores[order], atol=1e-5)


def test_predict(server, models):
    pipe = by_task(models, "text-classification").pipeline("text-classification")
    assert close(server.post("/predict", {"inputs": "a b"}), pipe("a b", top_k=3))
    pair = pipe({"text": "a", "text_pair": "b"}, top_k=3)
    assert close(server.post("/predict", {"inputs": ["a", "b"]}), pair)
    assert close(server.post("/predict", {"inputs": [["a"], ["a", "b"]]}), [pipe("a", top_k=3), pair])


def test_explain(server):
    status, headers, page = server.request("/explain/fill", {"inputs": "a <mask>"})
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert page.startswith(b"<!doctype html>")
    assert server.request("/explain/fill", {"inputs": "no mask"})[0] == 422
    assert server.request("/explain/fill", {"inputs": ["a <mask>"]})[0] == 422
    assert server.request("/explain/mood", {"inputs": "a <mask>"})[0] == 424


def test_tokenize_and_decode(server):
    tokens = server.post("/tokenize", {"inputs": "the cat"})[0]
    assert [token["special"] for token in (tokens[0], tokens[-1])] == [True, True]
    assert server.post("/decode", {"ids": [token["id"] for token in tokens]}) == ["the cat"]
    assert server.post("/tokenize", {"inputs": ["a"], "add_special_tokens": False})[0][0]["start"] == 0


def test_descriptions(server, models):
    assert server.request("/health")[0] == 200
    assert server.request("/info")[2]["model_id"] == "fill"
    assert server.request("/info")[2]["model_type"] == {"fill-mask": {}}
    assert [model["id"] for model in server.request("/v1/models")[2]["data"]] == [model.name for model in models]
    description = server.request("/openapi.json")[2]
    for path, methods in description["paths"].items():
        if "post" in methods and "{" not in path:
            assert server.request(path, {"nothing": 1})[0] in (400, 422), path
    metrics = server.request("/metrics")[2].decode()
    assert 'te_request_count{method="/health"}' in metrics
    assert "te_queue_size 0" in metrics


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("sentence-similarity", {"embedding": {"pooling": "cls"}}),
        ("text-ranking", {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}}),
    ],
)
def test_info_has_the_kind_of_model(models, task, kind):
    with running(make_app([by_task(models, task)], Options(access_log=False))) as server:
        assert server.request("/info")[2]["model_type"] == kind


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/", {"inputs": "no mask"}, 422, "No mask_token (<mask>) found on the input"),
        ("/", {"inputs": 3}, 422, "inputs must be a string or a list of strings"),
        ("/", {"inputs": []}, 400, "inputs is empty"),
        ("/", {"inputs": ["a <mask>", None]}, 422, "inputs must be a string or a list of strings"),
        ("/", {}, 400, "inputs is missing"),
        ("/", [], 400, "the body must be a JSON object"),
        ("/", {"inputs": "a <mask>", "parameters": {"top_k": "x"}}, 422, "top_k must be an integer, not 'x'"),
        ("/", {"inputs": "a <mask>", "parameters": {"top_k": 1001}}, 422, "top_k is 1001; the limit is 1000"),
        ("/", {"inputs": "a <mask>", "parameters": {"no": 1}}, 422, "fill-mask has no parameter no; there is targets,"),
        ("/", {"inputs": "a <mask>", "parameters": {"\ud800": 1}}, 422, "no parameter \\ud800;"),
        ("/", {"inputs": "a <mask>", "parameters": []}, 422, "parameters must be of type dict"),
        ("/models/nobody", {"inputs": "a <mask>"}, 404, "no model 'nobody' here; there is fill, mood,"),
        ("/pipeline/fly/fill", {"inputs": "a <mask>"}, 404, "no task 'fly'; there is fill-mask,"),
        (
            "/models/fill",
            {"inputs": {"question": "a", "context": "b"}},
            424,
            "no model here answers question-answering",
        ),
        ("/models/tags", {"inputs": "a", "parameters": {"stride": 256}}, 422, "stride is 256; the limit is 255"),
        ("/models/answers", {"inputs": []}, 400, "inputs is empty"),
        ("/models/answers", {"inputs": "a"}, 422, "inputs must have a question and a context, both strings"),
        ("/models/answers", {"inputs": {"question": "a", "context": 1}}, 422, "must have a question and a context"),
        (
            "/models/answers",
            {"inputs": {"question": "a", "context": "b"}, "parameters": {"doc_stride": 193}},
            422,
            "doc_stride is 193; the limit is 192",
        ),
        *(
            ("/models/nli", {"inputs": "a", "parameters": parameters}, 422, message)
            for parameters, message in (
                ({"candidate_labels": []}, "You must include at least one label"),
                ({"candidate_labels": 3}, "candidate_labels must be a list of strings, not 3"),
                ({"candidate_labels": ["a", 3]}, "candidate_labels: every item must be a string, not 3"),
                ({"candidate_labels": ["a"] * 257}, "candidate_labels has 257 entries; the limit is 256"),
                *(
                    ({"candidate_labels": ["a"], "hypothesis_template": template}, "hypothesis_template must have {}")
                    for template in ("{:>8000000000}", "{0:>9}", "{!r}", "{0.__class__}", "{1}", "{", "{}}", "{{}")
                ),
                ({"candidate_labels": ["a"], "hypothesis_template": "no label"}, "formatting syntax such as {}"),
                (
                    {"candidate_labels": ["a" * 1000], "hypothesis_template": "{0}" * 100},
                    "hypothesis_template with each of candidate_labels has 100300 characters; the limit is 100000",
                ),
            )
        ),
        ("/embed", {"inputs": ["a"] * 300}, 422, "inputs has 300 entries; the limit is 256"),
        ("/embed", {"inputs": "a", "normalize": 1}, 422, "normalize must be a boolean"),
        ("/embed", {"inputs": "a", "dimensions": 0}, 422, "dimensions must be between 1 and 16"),
        ("/embed", {"inputs": "a", "truncation_direction": "left"}, 422, "truncation_direction must be right"),
        ("/embed", {"inputs": "a", "truncation_direction": 1}, 422, "truncation_direction must be of type str"),
        *(
            (path, body | {"truncate": False}, 422, "tokens; the limit is 512")
            for path, body in (
                ("/embed", {"inputs": "a " * 600}),
                ("/embed_all", {"inputs": ["a", "a " * 600]}),
                ("/predict", {"inputs": [["a"], ["a", "a " * 600]]}),
                ("/rerank", {"query": "a " * 300, "texts": ["a", "a " * 300]}),
            )
        ),
        (
            "/similarity",
            {"inputs": {"source_sentence": "a", "sentences": ["a " * 600]}, "parameters": {"truncate": False}},
            422,
            "tokens; the limit is 512",
        ),
        ("/predict", {"inputs": "a", "truncation_direction": "Left"}, 422, "truncation_direction must be right"),
        ("/predict", {"inputs": []}, 400, "inputs is empty"),
        ("/predict", {"inputs": [["a", "b", "c"]]}, 422, "an input has one text or a pair"),
        ("/rerank", {"query": 1, "texts": ["a"]}, 422, "query must be a string"),
        ("/rerank", {"query": "a", "texts": []}, 400, "texts is empty"),
        ("/similarity", {"inputs": {"sentences": ["a"]}}, 422, "inputs must have a source_sentence, a string, and"),
        ("/decode", {"ids": [10**9]}, 422, "ids must be between 0 and "),
        ("/decode", {"ids": []}, 400, "ids is empty"),
        ("/decode", {"ids": "x"}, 422, "ids must be a list of integers, or a list of those"),
        ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, 422, "encoding_format must be float or base64"),
        ("/nowhere", {"inputs": "a"}, 404, "Not Found"),
    ],
)
def test_errors_are_well_formed(server, path, body, status, message):
    got, headers, answer = server.request(path, body)
    assert got == status
    assert headers["content-type"].startswith("application/json")
    said = answer["error"]["message"] if path == "/v1/embeddings" else answer["error"]
    assert message in said
    assert "Traceback" not in json.dumps(answer)
    assert "(input" not in said  # an index within a batch means nothing to a client


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/embed", {"inputs": "a" * 501}, "inputs has a text of 501 characters; the limit is 500"),
        ("/rerank", {"query": "a" * 501, "texts": ["a"]}, "query has a text of 501 characters; the limit is 500"),
        (
            "/models/fill",
            {"inputs": ["<mask>"] * 10},
            "the predictions would have 10300 characters; the limit is 10000",
        ),
        ("/models/fill", {"inputs": "<mask>" * 4 + "a" * 400}, "the predictions would have 12480 characters"),
        ("/models/fill", {"inputs": "<mask>", "parameters": {"top_k": 11}}, "top_k is 11; the limit is 10"),
        (
            "/models/answers",
            {"inputs": [{"question": "a", "context": "b"}] * 8, "parameters": {"top_k": 7}},
            "the predictions would have 11200 characters; the limit is 10000: decrease top_k, or send fewer",
        ),
        # Next to so long a question each window has room for few more tokens of the context.
        ("/models/answers", {"inputs": {"question": "a " * 240, "context": "a b" * 130}}, "the model would read about"),
        ("/models/nli", {"inputs": "a" * 400, "parameters": {"candidate_labels": ["a"] * 20}}, "the model would read"),
        ("/explain/fill", {"inputs": "<mask>" + " the cat sat on" * 4}, "the model would read about"),
        ("/embed_all", {"inputs": ["a b"] * 30}, "tokens; the limit for their features is 100: send fewer texts"),
        ("/pipeline/feature-extraction/fill", {"inputs": "a " * 120}, "tokens; the limit for their features is 100"),
        ("/tokenize", {"inputs": ["a" * 300] * 2}, "inputs have more than 500 characters; send fewer texts"),
    ],
)
def test_what_a_request_costs_is_limited(models, path, body, message):
    limits = Limits(text_characters=500, tokens=2000, top_k=10, answer_characters=10_000, features=1600)
    with running(make_app(models, Options(limits=limits, access_log=False))) as server:
        status, _, answer = server.request(path, body)
        assert status == 422
        assert message in answer["error"]
        server.post("/models/answers", {"inputs": {"question": "a", "context": "a b" * 130}})
        server.post("/models/nli", {"inputs": "a" * 400, "parameters": {"candidate_labels": ["a"] * 10}})
        server.post("/models/fill", {"inputs": "<mask>" + " the cat sat on" * 4})
        assert server.request("/explain/fill", {"inputs": "the cat <mask>"})[0] == 200
        server.post("/embed_all", {"inputs": ["a b"] * 20})


def test_what_is_truncated_costs_no_more_than_the_model_reads(server):
    labels = [f"label {number}" for number in range(41)]
    body = {"inputs": "the cat " * 12_000, "parameters": {"candidate_labels": labels}}
    assert len(server.post("/models/nli", body)) == 41
    assert len(server.post("/rerank", {"query": "the cat " * 8_000, "texts": ["a"] * 64})) == 64


def test_an_error_of_the_server_is_not_the_clients(server, models, monkeypatch, capfd):
    def fail(*_, **__):
        raise CheckpointError("/srv/mood/model.safetensors has changed")

    monkeypatch.setattr(by_task(models, "fill-mask").pipeline("fill-mask"), "answers", fail)
    assert server.request("/", {"inputs": "a <mask>"})[::2] == (500, {"error": "internal error"})
    assert "distilroberta-np: /srv/mood/model.safetensors has changed" in capfd.readouterr().err


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"inputs": NaN}', b"[" * 100_000, b'"text"'])
def test_bodies_that_are_no_json_object(server, raw):
    status, _, answer = server.request("/", raw=raw)
    assert status in (400, 422)
    assert answer["error"]


def test_a_large_body_is_refused(server):
    status, _, answer = server.request("/", {"inputs": "x" * 3_000_000})
    assert status == 413
    assert "bytes" in answer["error"]


def test_one_bad_text_does_not_fail_its_neighbours(server):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        texts = ["a <mask>", "no mask here"] * 16
        statuses = list(pool.map(lambda text: server.request("/", {"inputs": text})[0], texts))
    assert statuses == [200, 422] * 16


def test_many_clients_get_their_own_answers(server, models):
    pipe = by_task(models, "fill-mask").pipeline("fill-mask")
    texts = [f"{'the cat ' * (n % 7)}<mask> {'sat ' * (n % 5)}" for n in range(64)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda text: server.post("/", {"inputs": text}), texts))
    for answer, text in zip(answers, texts, strict=True):
        assert [row["token"] for row in answer] == [row["token"] for row in pipe(text)]


def test_a_client_that_leaves_or_sends_half_a_request_harms_nobody(server):
    host, port = server.address.removeprefix("http://").split(":")
    body = json.dumps({"inputs": ["a <mask>"] * 100}).encode()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    for part in (head, head + body[:10], head + body, b"GARBAGE\r\n\r\n", b"\x00" * 100):
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(part)
    assert server.post("/", {"inputs": "a <mask>"})


def test_the_api_key(models):
    with running(make_app(models[:1], Options(api_key="secret", access_log=False))) as server:
        assert server.request("/", {"inputs": "a <mask>"})[0] == 401
        assert server.request("/", {"inputs": "a <mask>"}, headers={"authorization": "Bearer other"})[0] == 401
        assert server.request("/", {"inputs": "a <mask>"}, headers={"authorization": "Bearer secret"})[0] == 200
        assert server.request("/info")[0] == 401
        message = "the API key is missing or wrong; send it as Authorization: Bearer KEY"
        assert server.request("/models/fill", {"inputs": "a <mask>"})[2] == {"error": message}
        assert server.request("/embed", {"inputs": "a"})[2] == {"error": message, "error_type": "Unauthorized"}
        assert server.request("/v1/embeddings", {"input": "a"})[2]["error"]["message"] == message
        assert [server.request(path)[0] for path in ("/", "/health", "/metrics")] == [200] * 3


def test_other_origins_are_allowed_only_if_named(models, server):
    assert "access-control-allow-origin" not in server.request("/health", headers={"origin": "http://a"})[1]
    with running(make_app(models[:1], Options(allowed_origins=["http://a"], access_log=False))) as other:
        assert other.request("/health", headers={"origin": "http://a"})[1]["access-control-allow-origin"] == "http://a"
        assert "access-control-allow-origin" not in other.request("/health", headers={"origin": "http://b"})[1]


def test_other_origins_can_send_a_key(models):
    options = Options(allowed_origins=["http://a"], api_key="secret", access_log=False)
    with running(make_app(models[:1], options)) as server:
        asked = {
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        status, headers, _ = server.request("/", headers={"origin": "http://a", **asked}, method="OPTIONS")
        assert (status, headers["access-control-allow-origin"]) == (200, "http://a")
        assert "authorization" in headers["access-control-allow-headers"].lower()
        status, headers, _ = server.request("/", {"inputs": "a <mask>"}, headers={"origin": "http://a"})
        assert (status, headers["access-control-allow-origin"]) == (401, "http://a")


def test_overload_is_429_with_retry_after(models, monkeypatch):
    pipe, begun, hold = models[0].pipeline("fill-mask"), threading.Event(), threading.Event()
    answers = pipe.answers

    def held(*arguments, **options):
        begun.set()
        assert hold.wait(30)
        return answers(*arguments, **options)

    monkeypatch.setattr(pipe, "answers", held)
    options = Options(max_waiting_tokens=20, access_log=False)
    with running(make_app(models[:1], options)) as server, concurrent.futures.ThreadPoolExecutor(2) as pool:
        try:
            accepted = [pool.submit(server.post, "/", {"inputs": "a <mask>"})]
            assert begun.wait(30)
            accepted.append(pool.submit(server.post, "/", {"inputs": ["a <mask>"] * 50}))
            while b"te_queue_size 50" not in server.request("/metrics")[2]:
                time.sleep(0.01)
            status, headers, answer = server.request("/", {"inputs": "a <mask>"})
        finally:
            hold.set()
        assert (status, headers["retry-after"]) == (429, "1")
        assert "the server is overloaded; try again in 1 s" in answer["error"]
        assert [len(request.result()) for request in accepted] == [5, 50]
        assert server.post("/", {"inputs": "a <mask>"})


def test_the_access_log_has_no_text(models, capfd):
    with running(make_app(models[:1], Options())) as server:
        server.post("/models/fill?secret=1", {"inputs": "a private <mask>"})
    entry = json.loads(capfd.readouterr().err.splitlines()[-1])
    assert entry["route"] == "/models" and entry["status"] == 200
    assert "private" not in json.dumps(entry) and "secret" not in json.dumps(entry)
