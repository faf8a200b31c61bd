"""The settings that the doctor reads: those of all processes."""

from schemas.settings import ApiSettings, IngressSettings, NotifySettings, SinksSettings, StreamsSettings


class DoctorSettings(IngressSettings, ApiSettings, StreamsSettings, SinksSettings, NotifySettings):
    """What all processes take."""
