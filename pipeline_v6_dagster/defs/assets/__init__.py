"""One file per stage; a group of the same name in the UI."""
