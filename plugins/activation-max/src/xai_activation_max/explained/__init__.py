"""What is maximised: a value of the model as a function of its inputs."""

from xai_activation_max.explained.model_value import ModelValue
from xai_activation_max.explained.quantity import OBJECTIVES

__all__ = ["OBJECTIVES", "ModelValue"]
