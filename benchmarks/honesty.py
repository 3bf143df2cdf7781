"""Whether what stands beside an accuracy is right: each promise measured on data whose truth is known.

    python benchmarks/honesty.py TOPIC [TOPIC …] --work honesty [--out honesty.json]

A topic is a module of benchmarks/honest; its docstring says what it does and how long it takes. What a topic keeps in
WORK/TOPIC is not computed again, so that it can be stopped and go on.
"""

import argparse
import importlib
from dataclasses import asdict
from pathlib import Path

from measuring import finish

TOPICS = sorted(
    path.stem for path in (Path(__file__).parent / "honest").glob("*.py") if path.stem not in {"__init__", "row"}
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic", nargs="*", choices=TOPICS, help="all by default")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    figures = {}
    for topic in args.topic or TOPICS:
        work = args.work / topic
        work.mkdir(parents=True, exist_ok=True)
        figures[topic] = [asdict(row) for row in importlib.import_module(f"honest.{topic}").measure(work)]
    finish(figures, args.out)


if __name__ == "__main__":
    main()
