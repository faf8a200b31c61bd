"""Where a vendor's own library says otherwise than we do: every such case, and why ours is the right word at an edge.

Lives here: the one list; test_oracles.py holds it to be complete and true, table.py prints it. What is not here agrees.
"""

from dataclasses import dataclass

from tests.contract.vendors.oracles.ask import LIBRARIES
from tests.contract.vendors.oracles.judges import ACCEPTS, REFUSES


@dataclass(frozen=True)
class Deviation:
    """What a library says to these cases of its senders (all of them that have such a case, unless named), and why."""

    oracle: str
    theirs: str
    ours: str
    cases: tuple[str, ...]
    reason: str
    senders: tuple[str, ...] = ()

    def of_senders(self) -> tuple[str, ...]:
        """Return the senders whose cases are meant."""
        return self.senders or next(one.senders for one in LIBRARIES if one.name == self.oracle)


_EMPTY_KEY = "an empty key signs what anyone can sign: an empty secret never verifies here"
_NO_SECRET = "ends in an error without a secret; we answer 401 no_secret"
_NOT_ASCII = "compares texts, which compare_digest takes in ASCII only; we compare bytes"
_TEXT_ONLY = "decodes the body; a vendor signs bytes, and so do we compare"
_NO_CLOCK = "does not look at the time; a request heard once would be valid for ever"
_PAST_ONLY = "looks at the past only; a sender's stolen clock would make a replay valid for years"
_SHAPE = "ends in an error on what it cannot read; we answer 401 signature_malformed"


def _hashed(oracle: str) -> tuple[Deviation, Deviation]:
    """Return what libraries of a few lines have in common."""
    return (
        Deviation(oracle, ACCEPTS, REFUSES, ("signed-with-an-empty-secret",), _EMPTY_KEY),
        Deviation(oracle, "raises TypeError", REFUSES, ("signature-not-ascii",), _NOT_ASCII),
    )


def _standard(oracle: str) -> tuple[Deviation, ...]:
    odd = ("signature-odd", "signature-of-another-encoding", "signature-not-ascii", "signature-of-bare-separators")
    longer = ("signature-longer", "signature-of-5000-characters")
    ignored = "its base64 reader ignores what follows the padding; we compare the text, and bound it"
    return (
        Deviation(oracle, "raises ValueError", REFUSES, odd, _SHAPE),
        Deviation(oracle, "raises Error", REFUSES, ("signature-cut",), _SHAPE),
        Deviation(oracle, ACCEPTS, REFUSES, longer, ignored),
        Deviation(oracle, "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    )


DEVIATIONS = (
    Deviation("adyen", ACCEPTS, REFUSES, ("signed-with-an-empty-secret",), _EMPTY_KEY),
    Deviation(
        "adyen", ACCEPTS, REFUSES, ("second-item-forged",),
        "looks at the first item only; an item that nobody verified would be stored as verified",
    ),
    Deviation("adyen", "raises KeyError", REFUSES, ("signature-missing", "items-of-no-array"), _SHAPE),
    Deviation("adyen", "raises ValueError", REFUSES, ("signature-empty",), _SHAPE),
    Deviation("adyen", "raises JSONDecodeError", REFUSES, ("body-lost", "not-json"), _SHAPE),
    Deviation("adyen", "raises IndexError", REFUSES, ("empty-batch",), _SHAPE),
    Deviation("adyen", "raises TypeError", REFUSES, ("items-of-no-object",), _SHAPE),
    *_hashed("adyen-platform"),
    Deviation("discord", ACCEPTS, REFUSES, ("stale", "future"), _NO_CLOCK),
    *_hashed("gidgethub-256"),
    *_hashed("gidgethub"),
    *_hashed("hubspot"),
    Deviation("hubspot", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation("hubspot", ACCEPTS, REFUSES, ("future",), _PAST_ONLY),
    Deviation(
        "hubspot", REFUSES, ACCEPTS, ("old-at-the-edge",),
        "five minutes are too old to it; its document refuses what is older than five minutes",
    ),
    *_hashed("paddle"),
    Deviation("paddle", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation(
        "paddle", "raises ValueError", REFUSES,
        ("signature-of-bare-separators", *(f"label-{label}=" for label in ("none", "sha512", "v2", "SHA256", "v1a"))),
        _SHAPE,
    ),
    *_hashed("pywa"),
    Deviation(
        "sendgrid", "raises AttributeError", REFUSES, ("only-empty-secrets", "signed-with-an-empty-secret"), _NO_SECRET
    ),
    Deviation(
        "sendgrid", "raises Error", REFUSES,
        ("signature-odd", "signature-cut", "signature-longer", "label-sha512=", "label-v2=", "label-SHA256="), _SHAPE,
    ),
    Deviation("sendgrid", "raises ValueError", REFUSES, ("signature-not-ascii",), _SHAPE),
    Deviation("sendgrid", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation("sendgrid", ACCEPTS, REFUSES, ("stale", "future"), _NO_CLOCK),
    Deviation("slack", "raises ValueError", REFUSES, ("only-empty-secrets", "signed-with-an-empty-secret"), _NO_SECRET),
    Deviation("slack", "raises ValueError", REFUSES, ("time-odd", "time-empty", "time-float"), _SHAPE),
    Deviation("slack", "raises OverflowError", REFUSES, ("time-huge",), _SHAPE),
    Deviation("slack", "raises TypeError", REFUSES, ("signature-not-ascii",), _NOT_ASCII),
    Deviation("slack", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation(
        "square", "raises ValueError", REFUSES, ("only-empty-secrets", "signed-with-an-empty-secret"), _NO_SECRET
    ),
    Deviation("square", REFUSES, ACCEPTS, ("body-of-no-bytes",), "refuses an empty body, rightly signed or not"),
    Deviation("square", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    *_standard("standardwebhooks"),
    Deviation("stripe", ACCEPTS, REFUSES, ("future",), _PAST_ONLY),
    Deviation("stripe", "raises TypeError", REFUSES, ("signature-not-ascii",), _NOT_ASCII),
    Deviation("stripe", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    *_standard("svix"),
    Deviation("twilio", ACCEPTS, REFUSES, ("signed-with-an-empty-secret",), _EMPTY_KEY),
)  # fmt: skip
"""All of them."""
