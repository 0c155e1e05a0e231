"""`python -m bench`: every bench, one after the other; or those that are named: `python -m bench http storage`."""

import shutil
import signal
import sys

from bench import crowds, functions, google, http, start, storage

BENCHES = {
    "http": http.main, "functions": functions.main, "google": google.main, "crowds": crowds.main,
    "storage": storage.main, "start": start.main,
}  # fmt: skip

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # The servers that it has started are ended on the way.
    if shutil.which("wrk") is None:
        sys.exit("the bench needs wrk, which makes the load: install it with `apt-get install wrk`")
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
