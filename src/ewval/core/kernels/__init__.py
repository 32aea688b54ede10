"""Inner loops in C, for what numpy does in several passes or with a call for every few rows.

Each has a plain form in numpy beside its caller, which gives the same bits and serves where no library was built.
"""
