"""Google's own emulators of Firestore and Pub/Sub, as people start them: by gcloud; left out where they are not."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from bench import servers
from bench.servers import Absent, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.servers import Served

_PLATFORM = Path("/usr/lib/google-cloud-sdk/platform")


@contextlib.contextmanager
def firestore(folder: Path) -> Iterator[Served]:
    with _by_gcloud(["emulators", "firestore"], "cloud-firestore-emulator", folder) as one:
        yield one


@contextlib.contextmanager
def pubsub(folder: Path) -> Iterator[Served]:
    data = f"--data-dir={folder}"
    with _by_gcloud(["beta", "emulators", "pubsub"], "pubsub-emulator", folder, data) as one:
        yield one


def _by_gcloud(
    group: list[str], component: str, folder: Path, *options: str
) -> contextlib.AbstractContextManager[Served]:
    if shutil.which("gcloud") is None or shutil.which("java") is None or not (_PLATFORM / component).is_dir():
        raise Absent("it needs Java, and the emulators of the Google Cloud CLI")
    port = servers.free_port()
    command = ["gcloud", *group, "start", f"--host-port=127.0.0.1:{port}", *options]
    return serving(command, port, folder=folder, CLOUDSDK_CONFIG=str(folder / "gcloud"))
