"""Why a request was refused: one mistake that explains the signature, named in words that say what to do.

Lives here: the diagnosis alone, pure: bytes, secrets and a time in, findings out. Who asks: explain.py, for
`POST /sources/{id}/verify` and for the ring of refusals. Design and bounds: ingress/README.md.
"""

from ingress.diagnosis.case import MAX_SECRETS, Budget, Case, Secret, cheap
from ingress.diagnosis.causes import Cause, Finding
from ingress.diagnosis.diagnose import diagnose

__all__ = ["MAX_SECRETS", "Budget", "Case", "Cause", "Finding", "Secret", "cheap", "diagnose"]
