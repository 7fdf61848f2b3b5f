"""How little relevance changes where the input changes little."""
