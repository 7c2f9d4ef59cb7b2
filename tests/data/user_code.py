# Code as users write it, which tests/test_types.py gives to mypy. The comment is the type that mypy must reveal.
from collections.abc import Iterator
from typing import reveal_type

from distilroberta_np import CrossEncoder, RobertaForMaskedLM, RobertaTokenizer, SentenceEncoder, pipeline

unmasker = pipeline("fill-mask", model="distilroberta-base", top_k=3)
reveal_type(unmasker)  # FillMaskPipeline
reveal_type(unmasker("a <mask>"))  # Results[MaskPrediction]
reveal_type(unmasker("a <mask>", targets=[" dog"])[0]["token_str"])  # str
reveal_type(unmasker(["a <mask>", "b <mask>"]))  # Results[list[MaskPrediction]]
reveal_type(unmasker(["a <mask>"], progress=True).to_records())  # list[dict[str, Any]]
reveal_type(unmasker(text for text in ["a <mask>"]))  # Iterator[list[MaskPrediction]]

classifier = pipeline("sentiment-analysis", "a/folder")
reveal_type(classifier("good"))  # Results[LabelScore]
reveal_type(classifier(["good"])[0]["score"])  # float
reveal_type(classifier(["good"], top_k=None))  # Results[list[LabelScore]]
reveal_type(classifier({"text": "good", "text_pair": "bad"}))  # LabelScore

ner = pipeline("ner", "a/folder", aggregation_strategy="simple")
reveal_type(ner("Ada lived in London."))  # Results[Entity]
reveal_type(ner(["Ada"])[0][0]["start"])  # int

oracle = pipeline("question-answering", "a/folder")
reveal_type(oracle("Where?", "In Berlin."))  # Answer
reveal_type(oracle(question="Where?", context="In Berlin.")["answer"])  # str
reveal_type(oracle(["Where?", "When?"], "In Berlin."))  # Results[Answer]

judge = pipeline("zero-shot-classification", "a/folder")
reveal_type(judge("It rains.", candidate_labels=["weather", "sport"]))  # LabelRanking
reveal_type(judge(["It rains."], ["weather", "sport"])[0]["labels"])  # list[str]

extractor = pipeline("feature-extraction")
reveal_type(extractor("a"))  # list[list[list[float]]]
reveal_type(extractor("a", return_tensors=True))  # ndarray[Any, Any]

reveal_type(RobertaForMaskedLM.from_pretrained("a/folder"))  # RobertaForMaskedLM
reveal_type(RobertaTokenizer.from_pretrained("a/folder"))  # RobertaTokenizer
reveal_type(SentenceEncoder.from_pretrained("a/folder"))  # SentenceEncoder
reveal_type(CrossEncoder.from_pretrained("a/folder").rank("a", ["b"])[0]["score"])  # float


def answers() -> Iterator[str]:
    for answer in unmasker.answers(["a <mask>", "b"]):
        if isinstance(answer, Exception):
            reveal_type(answer)  # Exception
        else:
            yield answer[0]["sequence"]


unmasker("a <mask>", topk=1)  # error: unexpected keyword argument
unmasker("a <mask>", top_k="5")  # error: incompatible type
pipeline("fill-mask", topk=3)  # error: no overload
unmasker("a <mask>")[0]["name"]  # error: no key
