"""Runs a command of plainfilm until it ends, or until whoever started it does, even by SIGKILL: `python -P -m plainfilm.app.leash WORDS`."""

import subprocess
import sys
import threading

_PATIENCE_S = 20.0


def main(words: list[str]) -> int:
    """Run a command; it ends when our stdin does."""
    process = subprocess.Popen([sys.executable, "-P", "-m", "plainfilm", *words], stdin=subprocess.DEVNULL)

    def hold() -> None:
        while sys.stdin.buffer.read(1 << 16):
            pass
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()

    threading.Thread(target=hold, name="leash", daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
