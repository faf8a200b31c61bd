"""What the edge does about a source whose events come faster than they are processed (spec section 9).

Lives here: what is known of backlogs (measure.py, watch.py), what follows from it (policies.py, budget.py)
and the answers that are held back (delays.py). Not here: what a worker can take at once (ingress/admission.py); how
backlogs are measured (the stage and the writers; schemas/wire/pressure.py).
"""
