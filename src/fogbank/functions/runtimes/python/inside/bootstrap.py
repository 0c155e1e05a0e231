"""What a wrapper script starts: one function in a process of its own, which asks the Runtime API for its events.

Lambda Developer Guide, "Modifying the runtime environment". All that it is told stands in its environment, and that is what
the script has left of it: another `_HANDLER`, another address of the Runtime API, a longer `PYTHONPATH`.
"""

import importlib
import json
import logging
import os
import sys

_OWN = os.path.dirname(os.path.abspath(__file__))


def _ours(*names):
    """Modules from beside this file; the function finds none of them under these names."""
    sys.path.insert(0, _OWN)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    found = [importlib.import_module(name) for name in names]
    sys.dont_write_bytecode = writes
    for name in names:
        del sys.modules[name]
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _OWN]
    return found


aws_lambda, runtime_api, _ = _ours("aws_lambda", "runtime_api", "forkable")


def main():
    debugger = json.loads(os.environ.pop("_DEBUGGED", "null"))
    _set_up()
    api = runtime_api.RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    if debugger:
        aws_lambda.wait_for_debugger(debugger, runtime_api.RuntimeApi(debugger["tell"]).wait_for_debugger)
    try:
        handler = aws_lambda.find_handler(os.environ["_HANDLER"])
    except SystemExit:
        raise
    except BaseException as error:
        document = aws_lambda._init_error(error.with_traceback(error.__traceback__.tb_next))
        api.fail(_kind(document), document)
        sys.exit(1)
    _serve(handler, api)


def _set_up():
    sys.argv[:] = ["/var/runtime/bootstrap.py"]
    _set_paths()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    logger = logging.getLogger()
    before = list(logger.handlers)  # Of what the script has had loaded.
    aws_lambda._set_up_logging()
    logger.handlers[:0] = before


def _set_paths():
    """The function's code, what PYTHONPATH names, layers, Python's own, and the SDK; not what lies in the interpreter's
    site-packages."""
    root, lent = os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"]
    asked = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    packages = "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2]
    layers = ["/opt/python", *([packages] if os.path.isdir(packages) else [])]
    own = [root, *asked, *layers, *([lent] if lent else [])]
    site = sys.modules.get("site")
    hidden = {*own, *(site.getsitepackages() if site else ()), *([site.getusersitepackages()] if site else ())}
    rest = [path for path in sys.path if path not in hidden]
    sys.path[:] = [*own[: len(own) - bool(lent)], *rest, *([lent] if lent else [])]
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(own))
    importlib.invalidate_caches()


def _serve(handler, api):
    aws_lambda._instance_facts.update(
        (name, os.environ.get(variable)) for name, variable in aws_lambda._INSTANCE_FACTS.items()
    )
    while True:
        facts, payload = api.next()
        aws_lambda._log_filter.request_id = facts[0]
        os.environ["_X_AMZN_TRACE_ID"] = facts[3]
        kind, reply = aws_lambda.answer(handler, payload, facts)
        sys.stdout.flush()
        sys.stderr.flush()
        if kind == b"R":
            api.reply(reply)
        else:
            api.fail(_kind(reply), reply)


def _kind(document):
    return str(aws_lambda._decode(document.decode()).get("errorType", ""))


if __name__ == "__main__":
    main()
