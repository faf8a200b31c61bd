"""The batch path inside Faust. Private names of the pinned versions that it uses are listed in its README.md."""
