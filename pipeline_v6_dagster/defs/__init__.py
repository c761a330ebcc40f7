"""All that knows Dagster. Thin: an asset calls one stage and reports what it did.

What is put into this folder is loaded: `loading.py` says how.
"""
