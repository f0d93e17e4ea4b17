"""A process of its own that starts the embedded server: `starter.py FOLDER [USER_ID]`.

It becomes the user after its imports (an interpreter under a closed home still serves), prints one line
of what happened, and stops the server when its standard input ends.
"""

import os
import sys
from pathlib import Path

from app.embedded import EmbeddedError, EmbeddedPostgres


def main() -> int:
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        user_id = int(sys.argv[2])
        os.setgroups([])
        os.setgid(user_id)
        os.setuid(user_id)
    try:
        postgres = EmbeddedPostgres(folder, is_durable=False)
        print("started" if postgres.start() else "attached", flush=True)  # noqa: T201 - its parent reads the line
        sys.stdin.read()
        postgres.stop()
    except EmbeddedError as error:
        print(error, flush=True)  # noqa: T201 - its parent reads the line
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
