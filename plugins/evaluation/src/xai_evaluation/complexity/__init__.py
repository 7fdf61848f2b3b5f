"""How few features an explanation rests on."""
