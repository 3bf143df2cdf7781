"""How long `plainfilm --help` takes, and that it loads no heavy library.

python benchmarks/starting.py --out starting.json
"""

import argparse
import subprocess
import sys
from pathlib import Path

from measuring import finish, run, spread

HEAVY = ("keras", "tensorflow", "onnxruntime", "h5py", "matplotlib", "scipy", "PIL")
CODE = "import sys; sys.argv = ['plainfilm', '--help']\ntry:\n from plainfilm.cli import main; main()\nfinally:\n print(*sys.modules, file=sys.stderr)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    run([sys.executable, "-m", "plainfilm.cli", "--help"])
    seconds = [run([sys.executable, "-m", "plainfilm.cli", "--help"]).seconds for _ in range(args.rounds)]
    bare = [run([sys.executable, "-c", ""]).seconds for _ in range(args.rounds)]
    loaded = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False).stderr.split()
    finish(
        {
            "help_s": spread(seconds),
            "bare_python_s": spread(bare),
            "heavy_libraries_loaded": sorted(set(HEAVY) & set(loaded)),
        },
        args.out,
    )


if __name__ == "__main__":
    main()
