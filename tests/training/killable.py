"""``python -m training``, killed at a touch of its build folder.

``python killable.py PLAN ARGUMENTS...``, where PLAN is JSON: ``build``, the folder;
``stage`` and ``touch``, which touch of a file or folder by that stage is the last;
``path``, what has to be in the path of those that count; ``after``, how many seconds
later it is killed; ``counts``, a file for the numbers of touches by stage.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

from training.__main__ import STAGES, main

NAMES = {f".{stage.name}": stage.name for stage in STAGES}


class Watch:
    """Counts what a stage does to files and folders, from its scratch folder on."""

    def __init__(self, plan: dict[str, object]) -> None:
        self.plan = plan
        self.stage = ""
        self.counts = Counter[str]()

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" and not event.startswith(("os.", "sqlite3.connect")):
            return
        path = arguments[0] if arguments else None
        if not isinstance(path, str | Path):
            return
        if event == "os.mkdir" and Path(path).name in NAMES:
            self.stage = NAMES[Path(path).name]
        here = str(path).startswith(str(self.plan["build"]))
        if self.stage and here and str(self.plan.get("path", "")) in str(path):
            self.counts[self.stage] += 1
            planned = self.plan.get("stage"), self.plan.get("touch")
            if planned == (self.stage, self.counts[self.stage]):
                self.kill(float(str(self.plan.get("after", 0))))

    def kill(self, after: float) -> None:
        if after:
            threading.Timer(after, os.kill, [os.getpid(), signal.SIGKILL]).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    watch = Watch(json.loads(sys.argv[1]))
    if file := watch.plan.get("counts"):
        atexit.register(lambda: Path(str(file)).write_text(json.dumps(watch.counts)))
    sys.addaudithook(watch)
    sys.exit(main(sys.argv[2:]))
