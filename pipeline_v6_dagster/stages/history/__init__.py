"""The history stages: the compare log in a table that answers questions over years."""
