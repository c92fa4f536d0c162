"""An oslo.messaging RPC server, for tests of goslo's client.

    peer_server.py --url URL --exchange X --topic T --server S [--server S2 ...]

prints READY and the library's version when it consumes, {"event": "note", ...} whenever the method note runs, and ends with its input.
"""

import os
import sys
import threading
import time

import oslo_messaging
import peer
import peer_errors
import unlisted_errors


class Interface:
    """The null namespace, version 1.3."""

    target = oslo_messaging.Target(version='1.3')

    def __init__(self, server):
        self.server = server

    def echo(self, ctxt, **kwargs):
        return kwargs

    def describe(self, ctxt, value):
        return [type(value).__name__, repr(value)]

    def context(self, ctxt):
        return ctxt

    def nothing(self, ctxt):
        return None

    def constant(self, ctxt, code):
        return eval(code)  # the tests' own text

    def who(self, ctxt):
        return self.server

    def sleep(self, ctxt, seconds):
        time.sleep(seconds)
        return seconds

    def note(self, ctxt, **kwargs):
        peer.say({'event': 'note', 'server': self.server, 'args': kwargs, 'context': ctxt})

    def work(self, ctxt, seconds):
        peer.say({'event': 'note', 'server': self.server})
        time.sleep(seconds)
        return self.server

    def size(self, ctxt, blob):
        return len(blob)

    def blob(self, ctxt, size):
        return 'x' * size

    def required(self, ctxt, name):
        return name

    def fail(self, ctxt, kind):
        if kind == 'builtin':
            raise ValueError('no such thing: ß')
        if kind == 'quota':
            raise peer_errors.QuotaExceeded(resource='cores', used=20)
        if kind == 'key':
            raise KeyError('k')
        if kind == 'several':
            raise ValueError('a', 2, None, [1.0])
        if kind == 'lines':
            raise ValueError('first\nsecond: ß\n')
        if kind == 'empty':
            raise ValueError
        if kind == 'passed on':
            passed = type('QuotaExceeded_Remote', (Exception,), {'__module__': 'peer_errors_Remote'})
            raise passed('no cores left')
        if kind == 'unlisted':
            raise unlisted_errors.Unlisted('nobody knows me')
        if kind == 'chained':
            try:
                raise KeyError('inner')
            except KeyError as e:
                raise RuntimeError('outer') from e
        raise Exception('plain')

    @oslo_messaging.expected_exceptions(LookupError)
    def fail_expected(self, ctxt):
        raise LookupError('as expected')


class Compute:
    """The namespace compute, version 2.3."""

    target = oslo_messaging.Target(namespace='compute', version='2.3', legacy_namespaces=['old-compute'])

    def interface(self, ctxt):
        return 'compute 2.3'


def main():
    p = peer.parser(__doc__)
    p.add_argument('--exchange', required=True)
    p.add_argument('--topic', required=True)
    p.add_argument('--server', required=True, action='append')
    args = p.parse_args()
    transport = peer.open_transport(args)
    servers = []
    for name in args.server:
        target = oslo_messaging.Target(exchange=args.exchange, topic=args.topic, server=name)
        servers.append(oslo_messaging.get_rpc_server(transport, target, [Interface(name), Compute()],
                                                     executor='threading'))
    for server in servers:
        server.start()
    peer.ready()
    for _ in peer.commands():
        pass
    ends = [threading.Thread(target=end, args=(server,)) for server in servers]
    for e in ends:
        e.start()
    for e in ends:
        e.join()
    transport.cleanup()
    sys.stdout.flush()
    os._exit(0)  # after a failed monitored call the library's heartbeats go on


def end(server):
    server.stop()
    server.wait()


if __name__ == '__main__':
    main()
