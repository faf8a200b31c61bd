"""The control plane: `/api/v1` over JSON, its OpenAPI document and the docs page (spec section 5).

Lives here: one table of routes from which both the server and the document are made, access, problems, paging, ETags.
Not here: webhooks coming in (the rest of ingress), tables (asked through ports.TableReader), SQL (schemas.backing).
"""
