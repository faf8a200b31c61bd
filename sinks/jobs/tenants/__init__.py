"""The deletion of a tenant, step by step (rule 25): led by one process of the writers, resumed by any."""
