"""Climbing: the objective of all rows, the optimizers, and when to stop."""

from xai_activation_max.ascent.climb import Climb, climb
from xai_activation_max.ascent.objective import Objective
from xai_activation_max.ascent.optimizers import LEARNING_RATES, OPTIMIZERS

__all__ = ["LEARNING_RATES", "OPTIMIZERS", "Climb", "Objective", "climb"]
