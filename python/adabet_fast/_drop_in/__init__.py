"""The drop-in for ripser.py: `ripser`, `Rips`, `lower_star_img` and `correlation_to_distance` under the same names.

Degree 0 and 1 over Z/2 run on the package's own engine; what ripser.py alone can do is handed to it.
"""

from adabet_fast._drop_in.call import ripser
from adabet_fast._drop_in.correlation import correlation_to_distance
from adabet_fast._drop_in.estimator import Rips
from adabet_fast._drop_in.lower_star import lower_star_img

__all__ = ["Rips", "correlation_to_distance", "lower_star_img", "ripser"]
