"""An oslo.messaging RPC server between others: what its own call fails with, it raises again.

    peer_relay.py --url URL --allow MODULE --exchange X --topic T --server S

prints READY and its version when it consumes, and ends with its input. Its method fail calls the method fail of the server that it
is told, on its own topic.
"""

import os
import sys

import oslo_messaging
import peer


class Relay:

    def __init__(self, transport, target):
        self.client = oslo_messaging.RPCClient(transport, target, timeout=20)

    def fail(self, ctxt, server, kind):
        return self.client.prepare(server=server).call(ctxt, 'fail', kind=kind)


def main():
    p = peer.parser(__doc__)
    p.add_argument('--exchange', required=True)
    p.add_argument('--topic', required=True)
    p.add_argument('--server', required=True)
    args = p.parse_args()
    transport = peer.open_transport(args)
    relay = Relay(transport, oslo_messaging.Target(exchange=args.exchange, topic=args.topic))
    target = oslo_messaging.Target(exchange=args.exchange, topic=args.topic, server=args.server)
    server = oslo_messaging.get_rpc_server(transport, target, [relay], executor='threading')
    server.start()
    peer.ready()
    for _ in peer.commands():
        pass
    server.stop()
    server.wait()
    transport.cleanup()
    sys.stdout.flush()
    os._exit(0)


if __name__ == '__main__':
    main()
