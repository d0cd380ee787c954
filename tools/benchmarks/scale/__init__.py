"""Bad nights, and calls beside many ended sessions."""

from tools.benchmarks.scale.measures import measure as measure
from tools.benchmarks.scale.page import plots as plots
from tools.benchmarks.scale.page import section as section
