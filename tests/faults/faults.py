"""The fault harness: plain functions that break a run or its input and count what came of it.

pytest calls them with small numbers (test_faults.py), benchmarks/scale.py with those of the issue::

    print(faults.kills(20, work, seed=1))
    print(faults.mutations(200, work, seed=1))
    print(faults.outside(work))

`work` is a folder of scratch; both may share it. `Counts.harm` must be empty.
"""

from counts import Counts, Fault
from killing import kills
from mutations import mutations
from surroundings import outside

__all__ = ["Counts", "Fault", "kills", "mutations", "outside"]
