"""Answers lines of JSON with what oslo.config reads.

{"files": [base64, ...], "tree": {path: base64}, "args": [...], "env": {...}}
-> {"values": {"group.name": value, ...}} or {"error": text}
The files are named by --config-file, in their order, before args. Those of the tree are in a folder that args call DIR.
"""

import base64
import contextlib
import io
import json
import os
import sys
import tempfile

from oslo_config import cfg, types

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
TYPES = [
    cfg.DictOpt("mapping", default={"a": "1"}),
    cfg.IPOpt("ip", default="127.0.0.1"),
    cfg.HostAddressOpt("address", default="localhost"),
    cfg.HostDomainOpt("domain", default="localhost"),
    cfg.URIOpt("uri", default="http://localhost"),
    cfg.URIOpt("web", default="http://localhost", schemes=["http", "https"]),
    cfg.StrOpt("folded", default="INFO", choices=["INFO", "DEBUG"], ignore_case=True),
    cfg.StrOpt("brief", default="", max_length=5),
    cfg.StrOpt("pattern", default="a", regex="^[a-z]+$"),
    cfg.IntOpt("signed", default=0),
    cfg.Opt("even", default=2, type=types.Integer(choices=[2, 4])),
    cfg.FloatOpt("bounded", default=0.5, min=-1.5, max=1.5),
    cfg.BoolOpt("toggle", default=True),
    cfg.StrOpt("renamed", default="", deprecated_name="former", deprecated_group="old_types"),
]


def read(conf):
    values = {"DEFAULT." + opt.dest: conf[opt.dest] for opt in CLI + DEFAULT}
    for group, opts in (("my_group", GROUP), ("notifications", NOTIFICATIONS), ("types", TYPES)):
        values.update({"%s.%s" % (group, opt.dest): conf[group][opt.dest] for opt in opts})
    return values


def answer(question):
    conf = cfg.ConfigOpts()
    conf.register_cli_opts(CLI)
    conf.register_opts(DEFAULT)
    conf.register_opts(GROUP, group="my_group")
    conf.register_opts(NOTIFICATIONS, group="notifications")
    conf.register_opts(TYPES, group="types")
    with tempfile.TemporaryDirectory() as folder:
        args = []
        for i, text in enumerate(question["files"] or []):
            path = os.path.join(folder, "%d.conf" % i)
            with open(path, "wb") as file:
                file.write(base64.b64decode(text))
            args += ["--config-file", path]
        for path, text in (question["tree"] or {}).items():
            path = os.path.join(folder, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(base64.b64decode(text))
        args += [arg.replace("DIR", folder) for arg in question["args"] or []]
        before = dict(os.environ)
        os.environ.update(question["env"] or {})
        try:
            with contextlib.redirect_stderr(io.StringIO()) as said:
                conf(args, project="none", prog="none",
                     default_config_files=[], default_config_dirs=[])
                return {"values": read(conf)}
        except (Exception, SystemExit) as error:
            return {"error": "%s: %s %s" % (type(error).__name__, error, said.getvalue())}
        finally:
            os.environ.clear()
            os.environ.update(before)


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
