"""The rules of `opsbook check`, a module a family: what a rule finds, why, with a bad and a good example.

Pure: nothing here reads a file or a clock; what exists besides the document comes in as `Known`. `lint.py` has the
whole table. A run asks them too: a page with an error does not start.
"""
