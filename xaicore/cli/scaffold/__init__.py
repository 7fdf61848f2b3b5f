"""The package that `xaicore new-plugin` writes: names, what each kind needs, and files made of templates."""
