"""The cells of recurrent layers, each a file."""

from __future__ import annotations

from xai_lstm.cells.base import CellPass, Returned, Treatment
from xai_lstm.cells.gru import GruPass
from xai_lstm.cells.lstm import LstmPass
from xai_lstm.cells.plain import PlainPass, ReluPass

PASSES: dict[str, type[CellPass]] = {"lstm": LstmPass, "gru": GruPass, "rnn_tanh": PlainPass, "rnn_relu": ReluPass}
"""By the name of torch's operator."""

__all__ = ["PASSES", "CellPass", "Returned", "Treatment"]
