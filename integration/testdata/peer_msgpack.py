"""Answers lines of JSON with what oslo.serialization's msgpackutils makes of them.

{"dump": expression}              -> {"hex": ...}    the bytes of the value
{"load": hex, "want": expression} -> {"same": ..., "got": repr}
Either may be answered {"error": text} instead.
"""

import datetime
import itertools
import json
import sys
import uuid
import xmlrpc.client

import msgpack
import netaddr
from oslo_serialization import msgpackutils
import pytz

NAMES = {"datetime": datetime, "itertools": itertools, "msgpack": msgpack, "netaddr": netaddr, "pytz": pytz,
         "uuid": uuid, "xmlrpc": xmlrpc}


def same(got, want):
    if type(got) is not type(want):
        return False
    if isinstance(want, dict):
        return got.keys() == want.keys() and all(same(got[key], want[key]) for key in want)
    if isinstance(want, (list, tuple)):
        return len(got) == len(want) and all(map(same, got, want))
    # A count and NaN equal nothing but themselves.
    return got == want or repr(got) == repr(want)


def answer(question):
    if "dump" in question:
        return {"hex": msgpackutils.dumps(eval(question["dump"], NAMES)).hex()}
    got = msgpackutils.loads(bytes.fromhex(question["load"]))
    return {"same": same(got, eval(question["want"], NAMES)), "got": repr(got)}


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as e:
        reply = {"error": "%s: %s" % (type(e).__name__, e)}
    print(json.dumps(reply), flush=True)
