"""Records when oslo.service's looping calls call their functions, on a clock of their own: python3 record.py >oslo.json

It runs oslo_service.loopingcall as it is, but for its sleeps, its clock and its random numbers. All times are seconds.
Each case says how a loop is started and, call by call, how long the function takes and what it gives; after the last
step it ends the loop with the value "enough".
"""
import importlib.metadata
import itertools
import json
import logging
import types

from oslo_service import loopingcall
from oslo_utils import timeutils

logging.disable(logging.CRITICAL)

# Deviates of a normal distribution, as rand.New(rand.NewPCG(7, 1)).NormFloat64 gives them.
NORMALS = [
    0.49815132103770393, -0.32862434154973075, -0.5711417505810887, -1.094279572434882, 0.2273047201575631, -0.051502137635051626,
    0.8054105271672043, -0.20995058192127847, 0.15574732336962605, 1.0800581050638558, -0.9272360116037157, 0.9538237016158155,
    -1.1697495492638257, 1.573456585035668, 0.4585021232363715, 1.6565186979084983, 0.9853057992126644, -0.22898274341103253,
    -0.9664865053578597, 0.023397948481474584, -0.07653156682971812, -2.584457269285815, 1.2770289093184228, 1.5274323614670138,
    -1.268839019572527, -1.8531489703568043, -1.0566433053120898, -0.6660478385909608, 1.4289312111571246, -0.8291505081929329,
    0.31666981805830163, -0.7286623502534817, 0.5948695103051674, 0.7279831333058198, 1.0519341120810788, 0.6159210851396628,
    -0.8723852531481507, 0.56278028851324, -0.08183292758776155, 0.7966316477322355, 0.07179340949230795, 0.8188005474398494,
    0.5236301089916431, -0.8747279508391972, 0.9733141331386203, -0.5567516062889142, -1.0389266140175735, 1.2528592241008711,
]

FIXED, TIMED, DYNAMIC, BACKOFF, RETRY = 'fixed', 'timed', 'dynamic', 'backoff', 'retry'


def case(name, kind, start, *steps, stop_at=None):
    return {'name': name, 'kind': kind, 'start': start, 'steps': [{'took': t, 'gives': g} for t, g in steps],
            'stop_at': stop_at}


CASES = [
    case('fixed', FIXED, {'interval': .2}, *[(0, None)] * 4),
    case('fixed after a delay', FIXED, {'interval': .2, 'initial_delay': 1.5}, *[(.05, None)] * 3),
    case('fixed, with calls that take their time', FIXED, {'interval': .2}, (.05, None), (.153, None), (.199, None), (0, None)),
    case('fixed, with overruns', FIXED, {'interval': .2}, (.3, None), (.3, None), (.204, None), (.21, None), (.05, None)),
    case('fixed, with one long overrun', FIXED, {'interval': .2}, (1.11, None), (0, None), (0, None)),
    case('fixed, failing', FIXED, {'interval': .2}, (.05, None), (.05, 'error'), (0, None)),
    case('fixed, failing and going on', FIXED, {'interval': .2, 'stop_on_exception': False},
         (.05, None), (.05, 'error'), (.25, 'error'), (0, None)),
    case('fixed, stopped in the delay', FIXED, {'interval': .2, 'initial_delay': 1}, (0, None), stop_at=.5),
    case('fixed, stopped between calls', FIXED, {'interval': .2}, *[(.05, None)] * 5, stop_at=.3),
    case('fixed, stopped in a call', FIXED, {'interval': .2}, *[(.1, None)] * 5, stop_at=.25),
    case('fixed, stopped in a call that fails', FIXED, {'interval': .2}, (.1, None), (.1, 'error'), stop_at=.25),
    case('timed, and in time', TIMED, {'interval': .2, 'timeout': 2}, *[(.05, None)] * 3),
    case('timed out', TIMED, {'interval': .2, 'timeout': .5}, *[(0, None)] * 5),
    case('timed out by one call', TIMED, {'interval': .2, 'timeout': .5}, (.55, None), (0, None)),
    case('timed, the end being no timeout', TIMED, {'interval': .2, 'timeout': .5}, (.5, None), (0, None)),
    case('timed out in the delay', TIMED, {'interval': .2, 'timeout': .5, 'initial_delay': 1}, (0, None), (0, None)),
    case('timed, without a limit', TIMED, {'interval': .2, 'timeout': 0}, *[(.3, None)] * 4),
    case('timed out while failing and going on', TIMED, {'interval': .2, 'timeout': .5, 'stop_on_exception': False},
         *[(.05, 'error')] * 5),
    case('dynamic', DYNAMIC, {}, (0, .1), (.05, .3), (.4, .2), (0, .05)),
    case('dynamic after a delay', DYNAMIC, {'initial_delay': .7}, (0, .1), (.05, .3)),
    case('dynamic, capped', DYNAMIC, {'periodic_interval_max': .25}, (0, .1), (.05, .3), (0, None), (0, .25)),
    case('dynamic, at once', DYNAMIC, {}, (.1, 0), (.1, 0), (.1, .1)),
    case('dynamic, without an interval', DYNAMIC, {}, (0, .1), (.05, None), (0, .1)),
    case('dynamic, failing', DYNAMIC, {}, (0, .1), (.05, 'error'), (0, .1)),
    case('dynamic, stopped between calls', DYNAMIC, {}, *[(.05, .2)] * 5, stop_at=.4),
    case('back-off, failing', BACKOFF, {'starting_interval': .1, 'timeout': 1}, *[(0, False)] * 20),
    case('back-off, with long calls', BACKOFF, {'starting_interval': .1, 'timeout': 1}, *[(.7, False)] * 20),
    case('back-off, succeeding', BACKOFF, {}, *[(.01, True)] * 6),
    case('back-off, healing', BACKOFF, {'starting_interval': .1, 'timeout': 1},
         *[(0, ok) for ok in (False, False, True, False, False, True, True, False)]),
    case('back-off without a limit, capped', BACKOFF, {'timeout': 0, 'max_interval': 10}, *[(0, False)] * 12),
    case('back-off, never short', BACKOFF, {'starting_interval': .01, 'min_interval': .5, 'timeout': 0}, *[(0, False)] * 5),
    case('back-off, with little jitter', BACKOFF, {'jitter': .2, 'timeout': 30}, *[(0, False)] * 12),
    case('back-off by its defaults', BACKOFF, {'initial_delay': 2}, *[(0, False)] * 40),
    case('back-off, stopped', BACKOFF, {}, *[(0, False)] * 9, stop_at=5),
    case('retry', RETRY, {'exceptions': True}, *[(1, 'error')] * 8),
    case('retry, as often as it may', RETRY, {'exceptions': True, 'max_retry_count': 3}, *[(1, 'error')] * 8),
    case('retry, never', RETRY, {'exceptions': True, 'max_retry_count': 0}, (1, 'error'), (1, 'error')),
    case('retry, of nothing', RETRY, {'exceptions': False}, (1, 'error'), (1, 'error')),
    case('retry, up to another error', RETRY, {'exceptions': True, 'inc_sleep_time': 2, 'max_sleep_time': 5},
         (0, 'error'), (0, 'error'), (.5, 'error'), (0, 'other error')),
]


class Boom(Exception):
    pass


class Clock:
    def __init__(self, stop_at):
        self.now, self.stop_at, self.loop = 0., stop_at, None

    def pass_by(self, seconds):
        end = self.now + max(seconds, 0)
        if self.stop_at is not None and self.now < self.stop_at <= end:
            self.loop.stop()
        self.now = end

    def sleep(self, loop, seconds):
        """_sleep, which ends with stop()."""
        end = self.now + max(seconds, 0)
        if self.stop_at is not None and self.now < self.stop_at <= end:
            end = self.stop_at
            loop.stop()
        self.now = end


def record(c):
    clock, calls, steps = Clock(c['stop_at']), [], iter(c['steps'])

    def function():
        calls.append(round(clock.now, 6))
        step = next(steps, None)
        if step is None:
            if c['kind'] == RETRY:
                return 'enough'
            raise loopingcall.LoopingCallDone('enough')
        clock.pass_by(step['took'])
        if step['gives'] == 'error':
            raise Boom()
        if step['gives'] == 'other error':
            raise ValueError()
        return step['gives']

    loopingcall.LoopingCallBase._sleep = lambda self, seconds: clock.sleep(self, seconds)
    loopingcall.time = types.SimpleNamespace(time=lambda: clock.now)
    timeutils.now = lambda: clock.now
    normals = itertools.cycle(NORMALS)
    loopingcall.BackOffLoopingCall._RNG = types.SimpleNamespace(gauss=lambda mean, deviation: next(normals) * deviation + mean)
    try:
        value = run(c, function, clock)
        outcome = 'stopped' if value is True else value
    except loopingcall.LoopingCallTimeOut as e:
        outcome = str(e)
    except Boom:
        outcome = 'error'
    except ValueError:
        outcome = 'other error'
    except RuntimeError:
        outcome = 'no interval'
    return dict(c, calls=calls, outcome=outcome, ended=round(clock.now, 6))


def run(c, function, clock):
    start = dict(c['start'])
    if c['kind'] == RETRY:
        start['exceptions'] = (Boom,) if start['exceptions'] else ()
        return loopingcall.RetryDecorator(**start)(function)()
    loop = {FIXED: loopingcall.FixedIntervalLoopingCall, TIMED: loopingcall.FixedIntervalWithTimeoutLoopingCall,
            DYNAMIC: loopingcall.DynamicLoopingCall, BACKOFF: loopingcall.BackOffLoopingCall}[c['kind']](function)
    clock.loop = loop
    return loop.start(**start).wait()


if __name__ == '__main__':
    print('{"version": %s,' % json.dumps('oslo.service ' + importlib.metadata.version('oslo.service')))
    print(' "normals": %s,' % json.dumps(NORMALS))
    print(' "cases": [\n  %s\n ]}' % ',\n  '.join(json.dumps(record(c)) for c in CASES))
