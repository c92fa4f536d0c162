"""What the server and the client peer share: the transport, and lines of JSON on standard output."""

import argparse
import importlib.metadata
import json
import logging
import os
import queue
import sys
import threading

import oslo_messaging
from oslo_config import cfg

_output = threading.Lock()
_input = queue.SimpleQueue()


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
    threading.Thread(target=read, daemon=True).start()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING,
                        format='%(asctime)s %(levelname)s %(name)s %(message)s')
    conf = cfg.CONF  # the library registers its metrics options there and nowhere else
    if args.ping:  # the option does not exist before the first server, which reads it at once
        os.environ['OS_DEFAULT__RPC_PING_ENABLED'] = 'true'
    conf([])
    transport = oslo_messaging.get_rpc_transport(conf, url=args.url, allowed_remote_exmods=args.allow)
    return transport


def read():
    """Collects the input. Nobody is left to talk to at its end, so the process must not outlive that for long."""
    for line in sys.stdin:
        _input.put(line)
    _input.put(None)
    end = threading.Timer(30, os._exit, (1,))
    end.daemon = True
    end.start()


def ready():
    say('READY ' + importlib.metadata.version('oslo.messaging'))


def commands():
    """Yields the commands on standard input, one JSON object a line, until it ends."""
    for line in iter(_input.get, None):
        yield json.loads(line)
