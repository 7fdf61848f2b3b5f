"""Whether an explanation depends on what the model has learnt, and on what is explained."""
