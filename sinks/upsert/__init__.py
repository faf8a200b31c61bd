"""`writeMode: upsert`: the latest version of each key is a row, older ones are hidden by position deletes."""
