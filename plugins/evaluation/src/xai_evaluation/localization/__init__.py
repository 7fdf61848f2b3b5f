"""Whether relevance lies where the object is."""
