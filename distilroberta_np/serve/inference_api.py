"""The hub's inference protocol, as `huggingface_hub.InferenceClient` and `@huggingface/inference` speak it.

A request is `{"inputs": ..., "parameters": {...}}`. Defaults follow what the clients parse: all labels of a text
classification in a nested list, entities grouped by the "simple" strategy, zero-shot results in the form that the
client's version reads.
"""

from __future__ import annotations

import re
from typing import Any

from . import tei
from .loaded import ServedModel
from .protocol import RequestError, Service, option

# The arguments of each task's pipeline that a request may set.
_PARAMETERS = {
    "fill-mask": {"top_k", "targets", "truncation"},
    "text-classification": {"top_k", "function_to_apply", "truncation"},
    "token-classification": {"aggregation_strategy", "ignore_labels", "stride"},
    "question-answering": {
        "top_k",
        "doc_stride",
        "max_answer_len",
        "max_seq_len",
        "max_question_len",
        "handle_impossible_answer",
        "align_to_words",
    },
    "zero-shot-classification": {"candidate_labels", "hypothesis_template", "multi_label"},
}
# huggingface_hub before this version reads {"labels", "scores"}; later ones and the JavaScript client a list.
_LIST_FORM_SINCE = (1, 2)


async def answer(service: Service, task: str, name: str | None, body: dict[str, Any], user_agent: str) -> Any:
    """Answer a request for a task, with the model of a name or the first that fits. Raises RequestError."""
    if "inputs" not in body:
        raise RequestError("inputs is missing", 400)
    if task == "sentence-similarity":
        return await tei.similarity(service, body, name)
    if task == "text-ranking":
        return await tei.rerank(service, body, name)
    if task == "feature-extraction":
        return await _features(service, name, body)
    model = service.find(name, task)
    parameters = option(body, "parameters", dict, {})
    parameters = {key: value for key, value in parameters.items() if value is not None}
    unknown = sorted(parameters.keys() - _PARAMETERS[task])
    if unknown:
        raise RequestError(
            f"{task} has no parameter {', '.join(unknown)}; there is {', '.join(sorted(_PARAMETERS[task]))}"
        )
    inputs = body["inputs"]
    if task == "zero-shot-classification":
        return await _zero_shot(service, model, inputs, parameters, user_agent)
    if task == "text-classification":
        parameters = {"top_k": model.config.num_labels} | parameters
    if task == "token-classification":
        parameters = {"aggregation_strategy": "simple"} | parameters
    items = _questions(service, inputs) if task == "question-answering" else service.texts(inputs)
    results = await service.compute(model.predict(task, parameters), items)
    return results if isinstance(inputs, list) or task == "text-classification" else results[0]


def task_of(body: dict[str, Any], model: ServedModel) -> str:
    """The task of a request to `/`, which does not name one: by its form, or else the model's own."""
    inputs, parameters = body.get("inputs"), body.get("parameters")
    if isinstance(inputs, dict) and "source_sentence" in inputs:
        return "sentence-similarity"
    if isinstance(inputs, dict) and "question" in inputs:
        return "question-answering"
    if isinstance(parameters, dict) and "candidate_labels" in parameters:
        return "zero-shot-classification"
    if "query" in body and "texts" in body:
        return "text-ranking"
    return "feature-extraction" if model.task == "sentence-similarity" else model.task


def _questions(service: Service, inputs: Any) -> list[dict[str, str]]:
    """The questions of a request with their contexts. Raises RequestError."""
    items = inputs if isinstance(inputs, list) else [inputs]
    service.check_batch(len(items))
    for item in items:
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("question", "context")):
            raise RequestError("inputs must have a question and a context, both strings")
        service.check_text(item["question"])
        service.check_text(item["context"])
    return [{"question": item["question"], "context": item["context"]} for item in items]


async def _zero_shot(
    service: Service, model: ServedModel, inputs: Any, parameters: dict[str, Any], user_agent: str
) -> Any:
    labels = parameters.get("candidate_labels")
    labels = [label.strip() for label in labels.split(",")] if isinstance(labels, str) else labels
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise RequestError("candidate_labels must be a list of strings")
    service.check_batch(len(labels), "candidate_labels")
    operation = model.predict("zero-shot-classification", {**parameters, "candidate_labels": labels})
    results = await service.compute(operation, service.texts(inputs), factor=len(labels))
    version = re.search(r"\bhf_hub/(\d+)\.(\d+)", user_agent)
    if version is None or (int(version[1]), int(version[2])) >= _LIST_FORM_SINCE:
        results = [
            [{"label": label, "score": score} for label, score in zip(result["labels"], result["scores"], strict=True)]
            for result in results
        ]
    return results[0] if isinstance(inputs, str) else results


async def _features(service: Service, name: str | None, body: dict[str, Any]) -> Any:
    model = service.find(name, "feature-extraction")
    if model.task == "sentence-similarity":
        return await tei.embed(service, {"normalize": False, **body}, name)
    inputs = body["inputs"]
    results = await service.compute(model.predict("feature-extraction", {}), service.texts(inputs))
    return results[0] if isinstance(inputs, str) else results
