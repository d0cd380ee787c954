"""Photos against sharp."""

from benchmarks.photos.measures import measure as measure
from benchmarks.photos.measures import section as section
