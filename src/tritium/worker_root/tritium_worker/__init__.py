"""The worker's side of tritium: standard library and numpy only, CPython 3.8 and later."""
