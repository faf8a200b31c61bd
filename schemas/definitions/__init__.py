"""What REST takes and the registry keeps: sources, auth, streams, schemas, keys, tenants, jobs (pydantic).

Lives here: shape and rules of a definition that need nothing but the definition. Not here: rules that need the registry
(names taken) or Kafka (topics): those are the API's. Wire names are camelCase, unknown fields are refused.
"""
