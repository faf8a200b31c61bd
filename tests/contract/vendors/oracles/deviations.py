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
_TEXT_ONLY = "decodes the body as UTF-8; bytes are what is signed, whatever they hold"
_NO_CLOCK = "does not look at the time; a request heard once would be valid for ever"
_PAST_ONLY = "looks at the past only; whoever once set the sender's clock ahead could replay for years"
_SHAPE = "ends in an error on what it cannot read; we answer 401 with a reason"
_SPACES = "HTTP takes spaces around a value away (RFC 9110 section 5.5), and so do we"
_CAPITALS = "hex digits mean the same in capitals (RFC 4648 section 8)"
_NUMBERS = "takes what Python reads as a number for a time, or anything; we take digits alone"
_ANEW = "signs the number that it read, not the text that was received; we sign what was received"
_LOOSE = "its base64 reader ignores what does not belong; we compare texts, and bound their length"
_SPACED = ("spaces-before", "spaces-behind", "a-line-behind")
_CLOCKS = ("clock-with-spaces", "clock-with-a-sign", "clock-with-underscores", "clock-of-other-digits")


def _hashed(oracle: str) -> tuple[Deviation, Deviation]:
    """Return what libraries of a few lines have in common."""
    return (
        Deviation(oracle, ACCEPTS, REFUSES, ("signed-with-an-empty-secret",), _EMPTY_KEY),
        Deviation(oracle, "raises TypeError", REFUSES, ("signature-not-ascii",), _NOT_ASCII),
    )


def _standard(oracle: str) -> tuple[Deviation, ...]:
    odd = (
        "signature-odd", "signature-of-another-encoding", "signature-not-ascii", "signature-of-bare-separators",
        "a-space-inside", "commas-between", "version-twice", "no-version",
    )  # fmt: skip
    undecoded = ("signature-cut", "without-padding", "other-alphabet", "secret-with-spaces")
    longer = ("signature-longer", "signature-of-5000-characters", "loose-last-bits")
    return (
        Deviation(oracle, "raises ValueError", REFUSES, odd, _SHAPE),
        Deviation(oracle, "raises Error", REFUSES, undecoded, _SHAPE),
        Deviation(oracle, ACCEPTS, REFUSES, longer, _LOOSE),
        Deviation(oracle, "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
        Deviation(oracle, "raises ValueError", ACCEPTS, ("spaces-before", "two-spaces"), _SPACES),
        Deviation(oracle, REFUSES, ACCEPTS, ("clock-with-zeros",), _ANEW),
    )


DEVIATIONS = (
    Deviation("adyen", ACCEPTS, REFUSES, ("signed-with-an-empty-secret",), _EMPTY_KEY),
    Deviation(
        "adyen",
        ACCEPTS,
        REFUSES,
        ("second-item-forged",),
        "looks at the first item only; an item that nobody verified would be stored as verified",
    ),
    Deviation("adyen", "raises KeyError", REFUSES, ("signature-missing", "items-of-no-array"), _SHAPE),
    Deviation("adyen", "raises ValueError", REFUSES, ("signature-empty",), _SHAPE),
    Deviation("adyen", "raises JSONDecodeError", REFUSES, ("body-lost", "not-json"), _SHAPE),
    Deviation("adyen", "raises IndexError", REFUSES, ("empty-batch",), _SHAPE),
    Deviation("adyen", "raises TypeError", REFUSES, ("items-of-no-object",), _SHAPE),
    Deviation(
        "adyen",
        REFUSES,
        ACCEPTS,
        ("item-with-a-null-reference", "item-of-a-boolean"),
        "writes None and True, which are Python's words; null is nothing, true is true",
    ),
    Deviation(
        "adyen",
        ACCEPTS,
        REFUSES,
        ("item-of-a-decimal",),
        "amounts are whole numbers of minor units; a decimal has more than one text",
    ),
    *_hashed("adyen-platform"),
    Deviation("adyen-platform", REFUSES, ACCEPTS, _SPACED, _SPACES),
    Deviation("discord", ACCEPTS, REFUSES, ("stale", "future"), _NO_CLOCK),
    Deviation("discord", ACCEPTS, REFUSES, ("clock-with-a-fraction", "clock-not-a-number", *_CLOCKS), _NUMBERS),
    Deviation(
        "discord",
        ACCEPTS,
        REFUSES,
        ("a-space-inside",),
        "its hex reader passes over spaces inside; we compare nothing that holds any",
    ),
    *_hashed("gidgethub-256"),
    Deviation("gidgethub-256", REFUSES, ACCEPTS, _SPACED, _SPACES),
    Deviation("gidgethub-256", REFUSES, ACCEPTS, ("digits-in-capitals",), _CAPITALS),
    *_hashed("gidgethub"),
    Deviation("gidgethub", REFUSES, ACCEPTS, _SPACED, _SPACES),
    Deviation("gidgethub", REFUSES, ACCEPTS, ("digits-in-capitals",), _CAPITALS),
    *_hashed("hubspot"),
    Deviation("hubspot", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation("hubspot", ACCEPTS, REFUSES, ("future",), _PAST_ONLY),
    Deviation(
        "hubspot",
        REFUSES,
        ACCEPTS,
        ("old-at-the-edge",),
        "five minutes are too old to it; its document refuses what is older than five minutes",
    ),
    Deviation("hubspot", REFUSES, ACCEPTS, _SPACED, _SPACES),
    Deviation(
        "hubspot",
        REFUSES,
        ACCEPTS,
        ("in-capitals", "digits-in-capitals"),
        _CAPITALS,
        ("hubspot:hubspot-v1", "hubspot:hubspot-v2"),
    ),
    Deviation("hubspot", ACCEPTS, REFUSES, ("clock-with-a-fraction", *_CLOCKS), _NUMBERS),
    Deviation(
        "hubspot",
        REFUSES,
        ACCEPTS,
        ("signed-with-escapes-undone",),
        "does not undo the escapes that its document says to undo before the hash is made",
    ),
    *_hashed("paddle"),
    Deviation("paddle", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation(
        "paddle",
        "raises ValueError",
        REFUSES,
        ("signature-of-bare-separators", *(f"label-{label}=" for label in ("none", "sha512", "v2", "SHA256", "v1a"))),
        _SHAPE,
    ),
    Deviation("paddle", "raises ValueError", ACCEPTS, ("spaces-before", "spaces-between"), _SPACES),
    Deviation("paddle", REFUSES, ACCEPTS, ("spaces-behind", "a-line-behind"), _SPACES),
    Deviation("paddle", REFUSES, ACCEPTS, ("digits-in-capitals",), _CAPITALS),
    Deviation(
        "paddle",
        REFUSES,
        ACCEPTS,
        ("time-twice",),
        "takes the last time, we take the first; what is taken is what is signed",
    ),
    Deviation(
        "paddle",
        ACCEPTS,
        REFUSES,
        ("time-twice-other-first",),
        "takes the last time, we take the first; what is taken is what is signed",
    ),
    Deviation(
        "paddle",
        "raises ValueError",
        REFUSES,
        ("in-capitals", "time-empty", "time-odd", "spaces-around-the-mark", "tag-in-capitals", "another-tag"),
        _SHAPE,
    ),
    Deviation("paddle", ACCEPTS, REFUSES, ("time-with-spaces", "time-with-zeros", "time-with-a-sign"), _ANEW),
    *_hashed("pywa"),
    Deviation("pywa", REFUSES, ACCEPTS, _SPACED, _SPACES),
    Deviation("pywa", REFUSES, ACCEPTS, ("digits-in-capitals",), _CAPITALS),
    Deviation(
        "sendgrid", "raises AttributeError", REFUSES, ("only-empty-secrets", "signed-with-an-empty-secret"), _NO_SECRET
    ),
    Deviation(
        "sendgrid",
        "raises Error",
        REFUSES,
        ("signature-odd", "signature-cut", "signature-longer", "label-sha512=", "label-v2=", "label-SHA256="),
        _SHAPE,
    ),
    Deviation("sendgrid", "raises ValueError", REFUSES, ("signature-not-ascii",), _SHAPE),
    Deviation("sendgrid", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation("sendgrid", ACCEPTS, REFUSES, ("stale", "future"), _NO_CLOCK),
    Deviation("sendgrid", ACCEPTS, REFUSES, ("clock-with-a-fraction", "clock-not-a-number", *_CLOCKS), _NUMBERS),
    Deviation("sendgrid", ACCEPTS, REFUSES, ("a-space-inside",), _LOOSE),
    Deviation("slack", "raises ValueError", REFUSES, ("only-empty-secrets", "signed-with-an-empty-secret"), _NO_SECRET),
    Deviation("slack", "raises ValueError", REFUSES, ("time-odd", "time-empty", "time-float"), _SHAPE),
    Deviation("slack", "raises OverflowError", REFUSES, ("time-huge",), _SHAPE),
    Deviation("slack", "raises TypeError", REFUSES, ("signature-not-ascii",), _NOT_ASCII),
    Deviation("slack", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation("slack", REFUSES, ACCEPTS, _SPACED, _SPACES),
    Deviation("slack", REFUSES, ACCEPTS, ("digits-in-capitals",), _CAPITALS),
    Deviation("slack", ACCEPTS, REFUSES, _CLOCKS, _NUMBERS),
    Deviation("slack", "raises ValueError", REFUSES, ("clock-with-a-fraction", "clock-not-a-number"), _SHAPE),
    Deviation(
        "square", "raises ValueError", REFUSES, ("only-empty-secrets", "signed-with-an-empty-secret"), _NO_SECRET
    ),
    Deviation("square", REFUSES, ACCEPTS, ("body-of-no-bytes",), "refuses an empty body, rightly signed or not"),
    Deviation("square", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation("square", REFUSES, ACCEPTS, _SPACED, _SPACES),
    *_standard("standardwebhooks"),
    Deviation(
        "standardwebhooks",
        ACCEPTS,
        REFUSES,
        ("secret-without-its-prefix",),
        "a GitLab source's other secret is a plain token: what begins with whsec_ is the key",
        ("gitlab:gitlab-signing",),
    ),
    Deviation("stripe", ACCEPTS, REFUSES, ("future",), _PAST_ONLY),
    Deviation("stripe", "raises TypeError", REFUSES, ("signature-not-ascii",), _NOT_ASCII),
    Deviation("stripe", "raises UnicodeDecodeError", ACCEPTS, ("body-of-any-bytes",), _TEXT_ONLY),
    Deviation("stripe", REFUSES, ACCEPTS, ("spaces-between", *_SPACED), _SPACES),
    Deviation("stripe", REFUSES, ACCEPTS, ("digits-in-capitals",), _CAPITALS),
    Deviation("stripe", ACCEPTS, REFUSES, ("time-with-spaces", "time-with-zeros", "time-with-a-sign"), _ANEW),
    *_standard("svix"),
    Deviation("twilio", ACCEPTS, REFUSES, ("signed-with-an-empty-secret",), _EMPTY_KEY),
    Deviation("twilio", REFUSES, ACCEPTS, _SPACED, _SPACES),
    Deviation(
        "twilio",
        REFUSES,
        ACCEPTS,
        ("url-in-capitals", "url-with-an-empty-query"),
        "writes the URL anew before it signs; we sign what was received",
    ),
    Deviation("twilio", REFUSES, ACCEPTS, ("hash-in-capitals",), _CAPITALS),
    Deviation("twilio", "raises TypeError", REFUSES, ("hash-empty",), _SHAPE),
    Deviation(
        "twilio",
        ACCEPTS,
        REFUSES,
        ("signed-with-a-shared-key",),
        "knows the shared keys of Twilio's public beta (HMAC-SHA256); our preset is for the account's token alone",
    ),
    Deviation(
        "twilio",
        REFUSES,
        ACCEPTS,
        ("shared-key-signed-with-sha1",),
        "believes the header that names the algorithm, which is not signed; we ask for a signature by the token",
    ),
)
"""All of them."""
