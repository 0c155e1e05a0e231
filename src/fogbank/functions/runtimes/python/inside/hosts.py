"""Google's clients find their services here: what they would say to *.googleapis.com, over gRPC or https, goes to fogbank
in plain text, with the host's name kept. Those that know a variable for an emulator need none of it.

Whatever is loaded later is changed when it is loaded; nothing is loaded for it.
"""

import sys
from urllib.parse import urlsplit, urlunsplit

_GOOGLE = ".googleapis.com"


def redirect(address):
    """`address`: "127.0.0.1:4566"."""
    if not address:
        return
    waiting = {}
    for name, patch in _PATCHES.items():
        if name in sys.modules:
            patch(sys.modules[name], address)
        else:
            waiting[name] = patch
    sys.meta_path.insert(0, _Finder(waiting, address))


class _Finder:
    def __init__(self, waiting, address):
        self._waiting, self._address = waiting, address

    def find_spec(self, name, path=None, target=None):
        patch = self._waiting.pop(name, None)
        if patch is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader, patch, self._address)
                return spec
        return None


class _Loader:
    def __init__(self, loader, patch, address):
        self._loader, self._patch, self._address = loader, patch, address

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._patch(module, self._address)


# -- gRPC --


def _host_of(target):
    """The name in "dns:///secretmanager.googleapis.com:443"; nothing where it is not Google's."""
    host = str(target).rpartition("/")[2].partition(":")[0]
    return host if host.endswith(_GOOGLE) else ""


def _patch_grpc(grpc, address):
    secure, insecure = grpc.secure_channel, grpc.insecure_channel

    def secure_channel(target, credentials, options=None, compression=None):
        host = _host_of(target)
        if not host:
            return secure(target, credentials, options, compression)
        return insecure(address, _with_authority(options, host), compression)

    grpc.secure_channel = secure_channel


def _patch_aio(aio, address):
    secure, insecure = aio.secure_channel, aio.insecure_channel

    def secure_channel(target, credentials, options=None, compression=None, interceptors=None):
        host = _host_of(target)
        if not host:
            return secure(target, credentials, options, compression, interceptors)
        return insecure(address, _with_authority(options, host), compression, interceptors)

    aio.secure_channel = secure_channel


def _with_authority(options, host):
    kept = [(name, value) for name, value in (options or ()) if name != "grpc.default_authority"]
    return [*kept, ("grpc.default_authority", host)]


# -- https --


def _here(url, address):
    """The same on fogbank, and the host that was meant; nothing where it is not Google's."""
    parts = urlsplit(str(url))
    if parts.scheme != "https" or not (parts.hostname or "").endswith(_GOOGLE):
        return None
    return urlunsplit(("http", address, *parts[2:])), parts.hostname


def _patch_requests(adapters, address):
    send = adapters.HTTPAdapter.send

    def send_here(self, request, *args, **options):
        found = _here(request.url, address)
        if found:
            request.url, request.headers["Host"] = found
        return send(self, request, *args, **options)

    adapters.HTTPAdapter.send = send_here


def _patch_httplib2(httplib2, address):
    ask = httplib2.Http.request

    def request(self, uri, method="GET", body=None, headers=None, *args, **options):
        found = _here(uri, address)
        if found:
            uri, headers = found[0], {**(headers or {}), "host": found[1]}
        return ask(self, uri, method, body, headers, *args, **options)

    httplib2.Http.request = request


def _patch_urllib3(poolmanager, address):
    ask = poolmanager.PoolManager.urlopen

    def urlopen(self, method, url, redirect=True, **options):
        found = _here(url, address)
        if found:
            url, options["headers"] = found[0], {**(options.get("headers") or self.headers), "Host": found[1]}
        return ask(self, method, url, redirect, **options)

    poolmanager.PoolManager.urlopen = urlopen


def _patch_aiohttp(client, address):
    ask = client.ClientSession._request

    async def request(self, method, str_or_url, **options):
        found = _here(str_or_url, address)
        if found:
            str_or_url, options["headers"] = found[0], {**dict(options.get("headers") or {}), "Host": found[1]}
        return await ask(self, method, str_or_url, **options)

    client.ClientSession._request = request


_PATCHES = {
    "grpc": _patch_grpc,
    "grpc.aio": _patch_aio,
    "requests.adapters": _patch_requests,
    "httplib2": _patch_httplib2,
    "urllib3.poolmanager": _patch_urllib3,
    "aiohttp.client": _patch_aiohttp,
}
