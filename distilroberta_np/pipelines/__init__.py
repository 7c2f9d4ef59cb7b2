"""Pipelines: one file per task, with its options, its results and its class, which adds itself to `PIPELINES`."""

from .base import PIPELINES, Pipeline
from .feature_extraction import FeatureExtractionPipeline
from .fill_mask import FillMaskPipeline
from .loading import pipeline
from .question_answering import QuestionAnsweringPipeline
from .results import Results
from .text_classification import TextClassificationPipeline
from .token_classification import TokenClassificationPipeline
from .zero_shot_classification import ZeroShotClassificationPipeline

__all__ = [
    "PIPELINES",
    "FeatureExtractionPipeline",
    "FillMaskPipeline",
    "Pipeline",
    "QuestionAnsweringPipeline",
    "Results",
    "TextClassificationPipeline",
    "TokenClassificationPipeline",
    "ZeroShotClassificationPipeline",
    "pipeline",
]
