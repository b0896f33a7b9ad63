"""`python -m fmrsflow`: the command line without an activated environment."""

import sys

from fmrsflow.cli import main

sys.exit(main())
