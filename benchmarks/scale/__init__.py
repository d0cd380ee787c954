"""Bad nights, and calls beside many ended sessions."""

from benchmarks.scale.measures import measure as measure
from benchmarks.scale.page import plots as plots
from benchmarks.scale.page import section as section
