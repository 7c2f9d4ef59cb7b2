"""What the models with a head share: the encoder is run first, and the head on what it gives."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, TypeVar

from ..config import RobertaConfig
from ..layers.roberta import RobertaModelOutput
from .base import PretrainedModel
from .roberta import RobertaModel

Output = TypeVar("Output")


class ModelWithHead(PretrainedModel, Generic[Output]):
    """The encoder, as `roberta`, under a head."""

    def __init__(self, config: RobertaConfig, weights: Any) -> None:
        super().__init__(config, weights)
        self.roberta = RobertaModel(config, weights.roberta)

    @abstractmethod
    def _outputs(self, encoded: RobertaModelOutput) -> Output:
        """What the model returns, by what the encoder gave."""

    def __call__(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> Output:
        """Run the encoder, and the head over all it gives: arguments and errors as `RobertaModel.__call__`."""
        return self._outputs(
            self.roberta(
                input_ids,
                attention_mask,
                output_hidden_states=output_hidden_states,
                output_attentions=output_attentions,
            )
        )
