"""`/jobs`: heavy work asked over REST, done by the process that owns the data."""

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route, Scope
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission


class JobPage(Definition):
    """One page of jobs, newest first."""

    items: list[shapes.JobAnswer]
    next_cursor: str | None


async def list_jobs(call: Call) -> Answer:
    """List the tenant's jobs."""
    page = await call.threads.run(call.env.registry.jobs.list, call.tenant, call.page)
    return Answer(paging.page([shapes.job(job) for job in page.items], page.next_cursor))


async def get_job(call: Call) -> Answer:
    """Show a job: its state, share done and result; an admin key that names no tenant sees the jobs of all."""
    return Answer(shapes.job(await call.threads.run(call.env.registry.jobs.get, call.tenant, call.named("id"))))


ROUTES = (
    Route("GET", "/jobs", list_jobs, "List jobs", Permission.EVENTS_READ, JobPage, query=shapes.PAGE),
    Route("GET", "/jobs/{id}", get_job, "Show a job", Permission.EVENTS_READ, shapes.JobAnswer, scope=Scope.SERVER),
)
