"""Makes the stand-ins importable under the name they have on lab nodes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "kubeops/lab/rehearsal/node"))
