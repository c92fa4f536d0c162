"""Answers lines of JSON with what oslo.config reads.

{"files": [base64, ...], "args": [...], "env": {...}} -> {"values": {"group.name": value, ...}} or {"error": text}
The files are named by --config-file, in their order, before args.
"""

import base64
import contextlib
import io
import json
import os
import sys
import tempfile

from oslo_config import cfg

CLI = [
    cfg.StrOpt("text", default="plain"),
    cfg.BoolOpt("debug", default=False, short="d"),
]
DEFAULT = [
    cfg.StrOpt("choice", default="red", choices=["red", "blue"]),
    cfg.StrOpt("state_path", default="/var/lib/x"),
    cfg.StrOpt("lock_path", default="$state_path/lock"),
    cfg.ListOpt("topics", default=["a", "b"]),
]
GROUP = [
    cfg.IntOpt("workers", default=5, min=1, max=100,
               deprecated_opts=[cfg.DeprecatedOpt("threads"), cfg.DeprecatedOpt("old-workers", group="DEFAULT")]),
    cfg.PortOpt("listen_port", default=8780),
    cfg.FloatOpt("ratio", default=1.5, min=0),
]
NOTIFICATIONS = [cfg.MultiStrOpt("driver", default=[])]


def read(conf):
    values = {"DEFAULT." + opt.dest: conf[opt.dest] for opt in CLI + DEFAULT}
    for group, opts in (("my_group", GROUP), ("notifications", NOTIFICATIONS)):
        values.update({"%s.%s" % (group, opt.dest): conf[group][opt.dest] for opt in opts})
    return values


def answer(question):
    conf = cfg.ConfigOpts()
    conf.register_cli_opts(CLI)
    conf.register_opts(DEFAULT)
    conf.register_opts(GROUP, group="my_group")
    conf.register_opts(NOTIFICATIONS, group="notifications")
    with tempfile.TemporaryDirectory() as folder:
        args = []
        for i, text in enumerate(question["files"] or []):
            path = os.path.join(folder, "%d.conf" % i)
            with open(path, "wb") as file:
                file.write(base64.b64decode(text))
            args += ["--config-file", path]
        before = dict(os.environ)
        os.environ.update(question["env"] or {})
        try:
            with contextlib.redirect_stderr(io.StringIO()) as said:
                conf(args + (question["args"] or []), project="none", prog="none",
                     default_config_files=[], default_config_dirs=[])
                return {"values": read(conf)}
        except (Exception, SystemExit) as error:
            return {"error": "%s: %s %s" % (type(error).__name__, error, said.getvalue())}
        finally:
            os.environ.clear()
            os.environ.update(before)


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
