"""Many streams in one writers' process: made and fed over HTTP, watched through the catalog and /proc.

Lives here: the figures `freshness20` and `streams200`. Not here: one stream's freshness (../measure.py).
"""
