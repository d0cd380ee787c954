"""Photos against sharp."""

from tools.benchmarks.photos.measures import measure as measure
from tools.benchmarks.photos.measures import section as section
