"""What the server and the client peer share: the transport, and lines of JSON on standard output."""

import argparse
import json
import logging
import sys
import threading

import oslo_messaging
from oslo_config import cfg

_output = threading.Lock()


def say(line):
    """Writes one line; several threads may."""
    if not isinstance(line, str):
        line = json.dumps(line)
    with _output:
        sys.stdout.write(line + '\n')
        sys.stdout.flush()


def parser(description):
    p = argparse.ArgumentParser(description=description)
    p.add_argument('--url', required=True, help='transport URL')
    p.add_argument('--allow', action='append', default=[], help='module whose exceptions may be raised again')
    p.add_argument('--ping', action='store_true', help='answer oslo_rpc_server_ping')
    return p


def open_transport(args):
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING,
                        format='%(asctime)s %(levelname)s %(name)s %(message)s')
    conf = cfg.CONF  # the library registers its metrics options there and nowhere else
    conf([])
    transport = oslo_messaging.get_rpc_transport(conf, url=args.url, allowed_remote_exmods=args.allow)
    if args.ping:
        conf.set_override('rpc_ping_enabled', True)
    return transport


def commands():
    """Yields the commands on standard input, one JSON object a line, until it ends."""
    for line in sys.stdin:
        yield json.loads(line)
