"""How far relevance tells what the model relies on."""
