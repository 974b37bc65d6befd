"""A person's number and steady verdict, from one source's frames."""

from detector.tracking.tracker import Event, Tracker
from detector.tracking.verdict import Person

__all__ = ["Event", "Person", "Tracker"]
