"""An oslo.messaging RPC client, for tests of goslo's server.

    peer_client.py --url URL

prints READY and the library's version, then answers every line of its input by one line with the same id. A command is an object:

    op       call, cast, calls (count of them at once, with the additional argument number), or
             casts (the same, one after the other)
    target   keyword arguments of oslo_messaging.Target
    method, context, args (a string of JSON) or code (an expression in Python)
    timeout, monitor, mandatory   optional
"""

import concurrent.futures
import json
import os
import sys

import oslo_messaging
import peer


def make_client(transport, command):
    options = None
    if command.get('mandatory'):
        options = oslo_messaging.TransportOptions(at_least_once=True)
    return oslo_messaging.RPCClient(transport, oslo_messaging.Target(**command['target']),
                                    timeout=command.get('timeout', 20),
                                    call_monitor_timeout=command.get('monitor'),
                                    transport_options=options)


def run(transport, pool, command):
    client = make_client(transport, command)
    context, method, args = command.get('context') or {}, command['method'], json.loads(command.get('args') or '{}')
    if command.get('code'):
        args = eval(command['code'])  # the tests' own text
    if command['op'] == 'cast':
        client.cast(context, method, **args)
        return None
    if command['op'] == 'casts':
        for n in range(command['count']):
            client.cast(context, method, number=n, **args)
        return None
    if command['op'] == 'calls':
        calls = [pool.submit(client.call, context, method, number=n, **args) for n in range(command['count'])]
        return [c.result() for c in calls]
    return client.call(context, method, **args)


def describe(e):
    return {
        'class': type(e).__name__, 'module': type(e).__module__, 'text': str(e),
        'bases': [c.__module__ + '.' + c.__name__ for c in type(e).__mro__],
        'args': [a if isinstance(a, (str, int)) else repr(a) for a in e.args],
        'kwargs': getattr(e, 'kwargs', None),
        'remote_class': getattr(e, 'exc_type', None), 'remote_message': getattr(e, 'value', None),
        'traceback': getattr(e, 'traceback', None),
    }


def answer(transport, pool, command):
    try:
        result = run(transport, pool, command)
        peer.say({'id': command['id'], 'result': json.dumps(result), 'repr': repr(result)})
    except Exception as e:
        peer.say({'id': command['id'], 'error': describe(e)})


def main():
    transport = peer.open_transport(peer.parser(__doc__).parse_args())
    commands = concurrent.futures.ThreadPoolExecutor(max_workers=16)
    calls = concurrent.futures.ThreadPoolExecutor(max_workers=256)
    peer.ready()
    for command in peer.commands():
        commands.submit(answer, transport, calls, command)
    commands.shutdown()
    transport.cleanup()
    sys.stdout.flush()
    os._exit(0)  # the library leaves threads behind that are in no hurry


if __name__ == '__main__':
    main()
