"""`hookberg audit`: the sums that hold at any time (spec section 7), proved per position.

Lives here: the checks, pure (marks, ledger, stage, edge, tables, report). Not here: reading topics and tables
(sinks/read/audit.py), printing (deploy/cli/audit.py). They are written against the wire formats, not with the stage's
own code: a fault there is found here.
"""
