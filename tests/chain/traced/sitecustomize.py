"""On the path of a run (PYTHONPATH), notes which functions of the package each command calls.

A line `command<tab>module<tab>definition` for each, in the file that $FMRSFLOW_CALLED names. What
runs while a module is imported is left out.
"""

import inspect
import os
import sys
import threading

CALLED = os.environ.get("FMRSFLOW_CALLED")
PACKAGE = f"{os.sep}src{os.sep}fmrsflow{os.sep}"

seen = set()


def note(frame, event, _):
    code = frame.f_code
    if event != "call" or code in seen or not is_ours(code):
        return
    # Bodies of modules and classes, and what their import calls: no function.
    if not code.co_flags & inspect.CO_OPTIMIZED or imported(frame):
        return
    seen.add(code)
    name = code.co_qualname.partition(".")[0]
    module = code.co_filename.rpartition(PACKAGE)[2].removesuffix(".py").replace(os.sep, ".")
    stage = sys.argv[1] if len(sys.argv) > 1 else ""
    line = f"{stage}\tfmrsflow.{module.removesuffix('.__init__')}\t{name}\n"
    with open(CALLED, "a") as file:
        file.write(line)


def is_ours(code) -> bool:
    """Whether it stands in a module of the package; templates are compiled to code as well."""
    return PACKAGE in code.co_filename and code.co_filename.endswith(".py")


def imported(frame) -> bool:
    """Whether a module of the package is being imported, other than the one that was started."""
    while frame is not None:
        started = frame.f_globals.get("__name__") == "__main__"
        if frame.f_code.co_name == "<module>" and PACKAGE in frame.f_code.co_filename:
            return not started
        frame = frame.f_back
    return False


if CALLED:
    sys.setprofile(note)
    threading.setprofile(note)
