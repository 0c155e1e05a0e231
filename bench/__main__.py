"""`python -m bench`: every bench, one after the other; or those that are named: `python -m bench http storage`."""

import shutil
import signal
import sys

from bench import crowds, functions, google, google_functions, http, objects, start, storage
from fogbank import compiled

BENCHES = {
    "http": http.main, "functions": functions.main, "google-functions": google_functions.main, "crowds": crowds.main,
    "storage": storage.main, "objects": objects.main, "google": google.main, "start": start.main,
}  # fmt: skip

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # The servers that it has started are ended on the way.
    if shutil.which("wrk") is None:
        sys.exit("the bench needs wrk, which makes the load: install it with `apt-get install wrk`")
    print(f"{compiled.made()} of {len(compiled.MODULES)} modules of the hot paths are compiled")
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
