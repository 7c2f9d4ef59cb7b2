"""The hub's inference protocol, as `huggingface_hub.InferenceClient` and `@huggingface/inference` speak it.

A request is `{"inputs": ..., "parameters": {...}}`. Defaults follow what the clients parse: all labels of a text
classification in a nested list, entities grouped by the "simple" strategy, zero-shot results in the form that the
client's version reads.
"""

from __future__ import annotations

import re
from typing import Any

from ..pipelines.fill_mask import DEFAULT_TOP_K
from ..pipelines.question_answering import DOC_STRIDE, MAX_SEQ_LEN
from ..pipelines.zero_shot_classification import DEFAULT_TEMPLATE, as_labels
from . import tei
from .loaded import ServedModel
from .protocol import RequestError, Service, estimated_tokens, option

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
_PER_PREDICTION = 200  # characters, without the text
# What a template may have of the syntax of str.format, which can do far more: "{:>8000000000}" makes 8 GB.
_LABEL_OR_BRACES = re.compile(r"\{0?\}|\{\{|\}\}")
# huggingface_hub before this version reads {"labels", "scores"}; later ones and the JavaScript client a list.
_LIST_FORM_SINCE = (1, 2)


async def answer(service: Service, task: str, name: str | None, body: dict[str, Any], user_agent: str) -> Any:
    """Answer a request for a task, with the model of a name or the first that fits. Raises RequestError."""
    if task == "text-ranking":
        return await tei.rerank(service, body, name)
    if "inputs" not in body:
        raise RequestError("inputs is missing", 400)
    if task == "sentence-similarity":
        return await tei.similarity(service, body, name)
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
    if task == "question-answering":
        return await _answers(service, model, inputs, parameters)
    texts = service.texts(inputs)
    if task == "token-classification":
        parameters = {"aggregation_strategy": "simple"} | parameters
        _check_stride("stride", option(parameters, "stride", int, 0), model.max_length - 2)
    if task == "fill-mask":
        characters = sum(text.count(model.tokenizer.mask_token) * (_PER_PREDICTION + len(text)) for text in texts)
        service.check_predictions(parameters.get("top_k", DEFAULT_TOP_K), characters)
    results = await service.compute(model.predict(task, parameters), texts)
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


def _check_stride(name: str, stride: int, window: int) -> None:
    """Raise RequestError if windows over a long text share most of their tokens: there could be one per token."""
    if 2 * stride > window:
        raise RequestError(f"{name} is {stride}; the limit is {window // 2}, half of a window")


async def _answers(service: Service, model: ServedModel, inputs: Any, parameters: dict[str, Any]) -> Any:
    questions = _questions(service, inputs)
    service.check_predictions(parameters.get("top_k", 1), _PER_PREDICTION * len(questions))
    window: int = option(parameters, "max_seq_len", int, min(model.max_length, MAX_SEQ_LEN))
    stride: int = option(parameters, "doc_stride", int, min(window // 2, DOC_STRIDE))
    _check_stride("doc_stride", stride, window)
    longest: int = option(parameters, "max_question_len", int, window)

    def cost(item: dict[str, str]) -> int:
        """Tokens of all windows over the context: each begins with the question and `stride` tokens of the last one."""
        question = min(2 + len(item["question"].encode(errors="replace")), longest)  # a token has at least a byte
        context, repeated = estimated_tokens(item["context"]), question + stride
        # At least the context's, as the client's numbers can be negative: the pipeline refuses that later.
        return max(context, question + context + context // max(1, window - repeated) * repeated)

    results = await service.compute(model.predict("question-answering", parameters), questions, cost)
    return results if isinstance(inputs, list) else results[0]


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
    labels = as_labels("candidate_labels", parameters.get("candidate_labels"))
    service.check_batch(len(labels), "candidate_labels")
    template: str = option(parameters, "hypothesis_template", str, DEFAULT_TEMPLATE)
    if set("{}") & set(_LABEL_OR_BRACES.sub("", template)):
        raise RequestError("hypothesis_template must have {} for the label, and no other braces but {{ and }}")
    characters = len(labels) * len(template) + template.count("{") * sum(map(len, labels))
    if characters > service.limits.text_characters:
        raise RequestError(
            f"hypothesis_template with each of candidate_labels has {characters} characters; the limit is "
            f"{service.limits.text_characters}"
        )

    def cost(text: str) -> int:
        return len(labels) * min(model.max_length, estimated_tokens(text) + characters // (4 * len(labels)))

    operation = model.predict("zero-shot-classification", {**parameters, "candidate_labels": labels})
    results = await service.compute(operation, service.texts(inputs), cost)
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
    texts = service.texts(inputs)
    await service.check_features(model, texts)
    results = await service.compute(model.predict("feature-extraction", {}), texts)
    return results[0] if isinstance(inputs, str) else results
