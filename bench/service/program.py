"""The program that bench/service measures, on oslo.service; program.go is the same on goslo.

It launches two workers and tells what they do in lines of two words, to the named pipe that is its first argument:
"started PID" and "stopping PID" when a worker's service does so, "slow PID" when a slow request has arrived,
"listening PORT", and "version TEXT" before all.
"""
import argparse
import importlib.metadata
import logging
import os
import platform
import sys

import eventlet

eventlet.monkey_patch()

from oslo_config import cfg  # noqa: E402
from oslo_service import service  # noqa: E402
from oslo_service import wsgi  # noqa: E402

events = None


def tell(word, what=None):
    os.write(events, f'{word} {what or os.getpid()}\n'.encode())


class Job(service.Service):
    """A service whose only work begins with it and takes a while. A graceful stop waits for that."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def start(self):
        if self.seconds:
            self.tg.add_thread(eventlet.sleep, self.seconds)
        tell('started')

    def stop(self, graceful=True):
        tell('stopping')
        super().stop(graceful=True)


class Front(wsgi.Server):
    """A service that answers HTTP requests."""

    def start(self):
        super().start()
        tell('started')

    def stop(self):
        tell('stopping')
        super().stop()


def answer(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        tell('slow')
        eventlet.sleep(float(os.environ['SLOW']))
    else:
        eventlet.sleep(float(os.environ['SHORT']))
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '5')])
    return [b'done\n']


def main():
    global events
    parser = argparse.ArgumentParser()
    parser.add_argument('events')
    parser.add_argument('--http', action='store_true')
    parser.add_argument('--job', type=float, default=0)
    parser.add_argument('--timeout', type=int, default=60)
    args = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    events = os.open(args.events, os.O_WRONLY)
    version = importlib.metadata.version
    tell('version', f'oslo.service {version("oslo.service")}, eventlet {version("eventlet")}, '
                    f'Python {platform.python_version()}')
    conf = cfg.ConfigOpts()
    conf(args=[], default_config_files=[], default_config_dirs=[])
    launcher = service.ProcessLauncher(conf, restart_method='reload')
    conf.set_override('graceful_shutdown_timeout', args.timeout)
    if args.http:
        svc = Front(conf, 'front', answer, host='127.0.0.1')
        tell('listening', svc.port)
    else:
        svc = Job(args.job)
    launcher.launch_service(svc, workers=2)
    sys.exit(launcher.wait())


if __name__ == '__main__':
    main()
