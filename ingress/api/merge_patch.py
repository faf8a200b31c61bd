"""JSON Merge Patch (RFC 7396): members of the patch replace, null removes, objects merge."""

from typing import Any

MEDIA_TYPE = "application/merge-patch+json"


def apply(target: Any, patch: Any) -> Any:  # noqa: ANN401 JSON
    """Return `target` with `patch` merged in, as RFC 7396 section 2 writes it; neither argument is changed.

    The depth is bounded by the JSON reader's own limit.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply(merged.get(name), value)
    return merged
