"""Records when oslo.service runs periodic tasks, on a clock of its own: python3 record.py >oslo.json

It runs oslo_service.periodic_task as it is, but for its clock and its random numbers. All times are seconds. Each case
has tasks, which are declared when the clock starts, and visits: how long after the last one the tasks are run, or
"idle" for as long as the last one said. An idle of null is a visit that raised.
"""
import importlib.metadata
import itertools
import json
import logging
import types

from oslo_config import cfg
from oslo_service import periodic_task

logging.disable(logging.CRITICAL)


def task(name, spacing, took=0, fails=False, **options):
    return {'name': name, 'spacing': spacing, 'took': took, 'fails': fails, **options}


def case(name, tasks, visits, jitter=(0.0,), **options):
    return {'name': name, 'tasks': tasks, 'visits': visits, 'jitter': list(jitter), **options}


CASES = [
    case('by their spacing', [task('a', 10), task('b', 15), task('c', 25, run_immediately=True)], [3, 7, 5, 5, 5, 5, 10, 20]),
    case('when the last visit says', [task('a', 10), task('b', 7, run_immediately=True), task('c', 90)], ['idle'] * 30),
    case('missed ones', [task('a', 10), task('b', 7)], [37, 0, 3, 63, 1, 300]),
    case('with jitter', [task('a', 100), task('b', 19), task('c', 20), task('d', 3600, run_immediately=True)],
         ['idle'] * 40, jitter=(0.0, .21, .999, .5, .8, .43)),
    case('with the most jitter', [task('a', 400), task('b', 40)], [39, 1, 2, 37, 40, 321, 400, 20, 20, 20], jitter=(.9999,)),
    case('slow ones', [task('a', 10, took=4), task('b', 10, took=25), task('c', 10)], [10, 'idle', 'idle', 3, 'idle', 'idle']),
    case('failing ones', [task('a', 10, fails=True), task('b', 20), task('c', 10, took=1)], [10, 'idle', 5, 5, 10]),
    case('the first that fails, raised', [task('a', 10), task('b', 10, fails=True), task('c', 10)], [10, 1, 9, 10], raises=True),
    case('default, negative and disabled', [task('a', 0), task('b', -1), task('c', 5, enabled=False)], [59, 1, 30, 30]),
    case('external', [task('a', 10, external_process_ok=True), task('b', 30)], [10, 10, 10]),
    case('external, elsewhere', [task('a', 10, external_process_ok=True), task('b', 30)], [10, 10, 10], external=False),
    case('none', [], [1, 1]),
    case('rare ones', [task('a', 86400), task('b', 3601, run_immediately=True)], [0, 60, 3540, 'idle', 82800]),
]


class Boom(Exception):
    pass


class Clock:
    def __init__(self):
        self.now, self.runs = 0., []

    def function(self, t):
        def run(_self, _context):
            self.runs.append([t['name'], self.now])
            self.now += t['took']
            if t['fails']:
                raise Boom()
        return run


def record(c):
    clock = Clock()
    jitter = itertools.cycle(c['jitter'])
    periodic_task.now = lambda: clock.now
    periodic_task.random = types.SimpleNamespace(random=lambda: next(jitter))
    members = {}
    for t in c['tasks']:
        options = {k: v for k, v in t.items() if k not in ('took', 'fails')}
        members[t['name']] = periodic_task.periodic_task(**options)(clock.function(t))
    conf = cfg.ConfigOpts()
    conf(args=[], default_config_files=[], default_config_dirs=[])
    tasks = type('Tasks', (periodic_task.PeriodicTasks,), members)(conf)
    conf.set_override('run_external_periodic_tasks', c.get('external', True))
    idle = []
    for wait in c['visits']:
        clock.now += wait if wait != 'idle' else idle[-1] if idle else 0
        try:
            idle.append(tasks.run_periodic_tasks(None, raise_on_error=c.get('raises', False)))
        except Boom:
            idle.append(None)
    return dict(c, runs=clock.runs, idle=idle)


if __name__ == '__main__':
    print('{"version": %s,' % json.dumps('oslo.service ' + importlib.metadata.version('oslo.service')))
    print(' "cases": [\n  %s\n ]}' % ',\n  '.join(json.dumps(record(c)) for c in CASES))
