"""The closed list of reason codes: one code has four uses: answer, log field, metric label, quarantine column.

Lives here: the codes, each with its HTTP status and its title. A new reason is one line here and nowhere else.
The idea is Mozilla Antenna's (https://github.com/mozilla-services/antenna).
"""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A stable code; `status` is the HTTP status where it is an answer, 0 where it never is; `text` for people."""

    status: int
    text: str

    def __new__(cls, code: str, status: int, text: str) -> Self:
        """Make the member from its line below."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.status = status
        member.text = text
        return member

    @property
    def urn(self) -> str:
        """Return the stable `type` of a problem with this reason (RFC 9457 section 3.1.1)."""
        return f"urn:hookberg:problem:{self.value}"

    # ---- requests, both doors
    NOT_FOUND = "not_found", 404, "No such resource"
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "This method is not allowed here"
    BODY_TOO_LARGE = "body_too_large", 413, "The body is larger than the limit"
    HEADERS_TOO_LARGE = "headers_too_large", 431, "The headers together are larger than the limit"
    BODY_TIMEOUT = "body_timeout", 408, "The body did not arrive in time"
    BODY_NOT_OBJECT = "body_not_object", 400, "The body is not a JSON object"
    BAD_REQUEST = "bad_request", 400, "The request cannot be read"
    INVALID_NAME = "invalid_name", 422, "A name does not fit its pattern"
    # ---- sender authentication
    UNAUTHENTICATED = "unauthenticated", 401, "No credential was given, or none that is known"
    SIGNATURE_MISSING = "signature_missing", 401, "The signature header is missing"
    SIGNATURE_MALFORMED = "signature_malformed", 401, "The signature header cannot be read"
    SIGNATURE_MISMATCH = "signature_mismatch", 401, "No signature matches any secret over the received bytes"
    TIMESTAMP_MISSING = "timestamp_missing", 401, "The signed timestamp is missing or not a number"
    TIMESTAMP_STALE = "timestamp_stale", 401, "The signed timestamp is too old"
    TIMESTAMP_FUTURE = "timestamp_future", 401, "The signed timestamp is too far in the future"
    NO_SECRET = "no_secret", 401, "The source has no usable secret"
    CERTIFICATE_MISSING = "certificate_missing", 401, "No client certificate was presented"
    CERTIFICATE_MALFORMED = "certificate_malformed", 401, "The client certificate cannot be read"
    CERTIFICATE_EXPIRED = "certificate_expired", 401, "The client certificate is not valid at this time"
    CERTIFICATE_REVOKED = "certificate_revoked", 401, "The client certificate was revoked"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted", 401, "No trusted authority issued the client certificate"
    CERTIFICATE_NOT_ALLOWED = "certificate_not_allowed", 401, "The source does not name the certificate's owner"
    REVOCATION_UNKNOWN = "revocation_unknown", 503, "The list of revoked certificates is out of date"
    TOKEN_MISSING = "token_missing", 401, "The bearer token is missing"
    TOKEN_MALFORMED = "token_malformed", 401, "The bearer token cannot be read as a signed JWT"
    TOKEN_ALGORITHM = "token_algorithm", 401, "The token's algorithm is not one that the source allows"
    TOKEN_KEY_UNKNOWN = "token_key_unknown", 401, "No key of the source has the id that the token names"
    TOKEN_MISMATCH = "token_mismatch", 401, "No key of the source gives the token's signature"
    TOKEN_EXPIRED = "token_expired", 401, "The token has expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid", 401, "The token is not valid yet"
    TOKEN_ISSUER = "token_issuer", 401, "The token was made by another issuer"
    TOKEN_AUDIENCE = "token_audience", 401, "The token was made for another audience"
    TOKEN_CLAIM = "token_claim", 401, "A claim that the source requires is missing or says something else"
    TOKEN_BODY = "token_body", 401, "The token does not belong to this body"
    TOKEN_KEYS_AWAY = "token_keys_away", 503, "The keys of the token's issuer cannot be had now"
    # ---- overload
    OVERLOADED_REQUESTS = "overloaded_requests", 429, "Too many requests in flight"
    OVERLOADED_BYTES = "overloaded_bytes", 429, "Too many bytes in flight"
    OVERLOADED_SOURCE = "overloaded_source", 429, "The source has its share of what this process takes at once"
    BACKLOG_ALARM = "backlog_alarm", 429, "More of the source waits than its alarm threshold allows"
    BACKLOG_BOUND = "backlog_bound", 503, "More of the source waits than its hard bound allows"
    LOSS_BUDGET_SPENT = "loss_budget_spent", 429, "The source sheds, and its loss budget is spent"
    RATE_LIMITED_KEY = "rate_limited_key", 429, "The API key has reached its rate limit"
    RATE_LIMITED_SOURCE = "rate_limited_source", 429, "The source has reached its rate limit"
    BROKER_SLOW = "broker_slow", 503, "Kafka did not acknowledge in time; the delivery may or may not be stored"
    BROKER_AWAY = "broker_away", 503, "Kafka cannot be reached"
    SHUTTING_DOWN = "shutting_down", 503, "This process is shutting down"
    REGISTRY_AWAY = "registry_away", 503, "The registry database cannot be reached"
    # ---- control plane
    FORBIDDEN = "forbidden", 403, "The API key lacks the permission"
    TOO_MANY_SOURCES = "too_many_sources", 403, "The tenant's API keys have made as many sources as they may"
    TOO_MANY_ROLES = "too_many_roles", 409, "The tenant has as many role assignments as it may"
    TOO_MANY_WEBHOOKS = "too_many_webhooks", 409, "The tenant has as many webhooks as it may"
    TOO_MANY_CONTACTS = "too_many_contacts", 409, "The tenant has as many contacts as it may"
    NOT_JSON = "not_json", 400, "The body is not JSON"
    INVALID_DEFINITION = "invalid_definition", 422, "The definition does not fit its schema"
    UNSUPPORTED = "unsupported", 422, "This value is not supported"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415, "This content type is not supported here"
    NAME_TAKEN = "name_taken", 409, "An object of this name exists"
    TENANT_RETIRED = "tenant_retired", 409, "A tenant of this id existed: ids are never used again"
    TOPIC_NAME_TAKEN = "topic_name_taken", 409, "Kafka cannot tell this topic name from an existing one"
    TOPIC_SHARED = "topic_shared", 409, "Another source shares this topic"
    TABLE_TAKEN = "table_taken", 409, "Another stream owns this table"
    TABLE_EXISTS = "table_exists", 409, "The table exists and is not one of ours"
    IMMUTABLE = "immutable", 409, "This field cannot change"
    WEBHOOK_DISABLED = "webhook_disabled", 409, "The webhook is disabled: nothing is sent"
    IN_USE = "in_use", 409, "Something still uses this object"
    INCOMPATIBLE_SCHEMA = "incompatible_schema", 409, "The schema breaks the subject's compatibility"
    PATCH_CONFLICT = "patch_conflict", 409, "The patch does not apply to the object as it is"
    PRECONDITION_FAILED = "precondition_failed", 412, "The object has changed since it was read"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch", 422, "This Idempotency-Key was used with another request"
    BROKER_REFUSED = "broker_refused", 502, "Kafka refused to create a topic"
    INTERNAL = "internal", 500, "Something failed here; the log has the request id"
    # ---- quarantine (never an HTTP answer)
    NOT_PARSEABLE = "not_parseable", 0, "The body does not parse as its content type says"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type", 0, "No parser for this content type"
    NOT_UTF8 = "not_utf8", 0, "The body is not UTF-8"
    NOT_AN_OBJECT = "not_an_object", 0, "An item is not a JSON object"
    TOO_DEEP = "too_deep", 0, "The JSON nests deeper than the limit"
    TOO_MANY_ITEMS = "too_many_items", 0, "The delivery holds more items than the limit"
    TOO_LARGE = "too_large", 0, "The record would exceed the topic's limit"
    SCHEMA_VIOLATION = "schema_violation", 0, "The event does not meet its pinned schema"
    UNPINNED = "unpinned", 0, "No schema is pinned for this event type and the source wants one"
    ID_CONFLICT = "id_conflict", 0, "The event id was seen with another content"
    POISON_CRASH = "poison_crash", 0, "Deciding this record ended the worker three times"
    BAD_RECORD = "bad_record", 0, "The raw record's headers cannot be read"
    # ---- streams (state failed)
    OFFSETS_EXPIRED = "offsets_expired", 0, "The log no longer holds the records at the table's position"
    TABLE_FOREIGN = "table_foreign", 0, "The table was made by someone else"
    UPSERT_INDEX_FULL = "upsert_index_full", 0, "The keys of an upsert table do not fit into the memory for them"
    WRITER_FAILED = "writer_failed", 0, "The writer failed; its message has the cause"
    # ---- outbound webhooks (why a call had no answer)
    ENDPOINT_FORBIDDEN = "endpoint_forbidden", 0, "The endpoint may not be called: its URL or address is refused"
    NAME_UNRESOLVED = "name_unresolved", 0, "The endpoint's name has no address"
    CONNECTION_FAILED = "connection_failed", 0, "The endpoint cannot be reached, or closed the connection"
    TLS_FAILED = "tls_failed", 0, "The endpoint's certificate is not trusted, or it does not speak TLS"
    ENDPOINT_TIMEOUT = "endpoint_timeout", 0, "The endpoint gave no answer in time"
    ANSWER_MALFORMED = "answer_malformed", 0, "What the endpoint answered is no HTTP"
    # ---- outbound webhooks (what was wrong with an answer, and why a delivery was given up)
    ENDPOINT_REDIRECTS = "endpoint_redirects", 0, "The endpoint redirects, which is not followed: name the new address"
    ENDPOINT_GONE = "endpoint_gone", 0, "The endpoint says that it wants nothing more (410)"
    ENDPOINT_REFUSED = "endpoint_refused", 0, "The endpoint refused the message (4xx)"
    ENDPOINT_ERROR = "endpoint_error", 0, "The endpoint failed (5xx)"
    ANSWER_UNEXPECTED = "answer_unexpected", 0, "The endpoint answered with a status that says nothing"
    TOO_MANY_PENDING = "too_many_pending", 0, "More deliveries waited for the endpoint than may"
    WAITED_TOO_LONG = "waited_too_long", 0, "The endpoint did not answer for longer than all retries last"
    EVENTS_EXPIRED = "events_expired", 0, "The log no longer holds the events of the delivery"
    RECEIVER_GONE = "receiver_gone", 0, "The receiver is no longer there, or has no endpoint"
    # ---- local start
    PORT_TAKEN = "port_taken", 0, "A port is in use"
    DATA_DIR_LOCKED = "data_dir_locked", 0, "Another `hookberg up` runs on this data folder"
    JAVA_MISSING = "java_missing", 0, "Neither Java 17+ nor the PyPI runtime can be had"
    FETCH_FAILED = "fetch_failed", 0, "Kafka's jars could not be fetched, or are not the pinned ones"
    BROKER_NOT_READY = "broker_not_ready", 0, "Kafka did not become ready in time"
    PROCESS_FAILED = "process_failed", 0, "A supervised process cannot start"
    DATA_DIR_UNUSABLE = "data_dir_unusable", 0, "The data folder cannot be used"


class Outcome(StrEnum):
    """What became of an item: exactly one of these, for ever (spec section 7)."""

    CLEAN = "clean"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    DROPPED_DENIED = "dropped_denied"
    DROPPED_UNPINNED = "dropped_unpinned"
    SHED = "shed"
    EMPTY = "empty"
    CONTROL = "control"
    LOST = "lost"
