"""The settings that the doctor reads: those of all processes."""

from schemas.settings import ApiSettings, IngressSettings, SinksSettings, StreamsSettings


class DoctorSettings(IngressSettings, ApiSettings, StreamsSettings, SinksSettings):  # type: ignore[misc]  # pydantic's plugin
    """What all processes take."""
