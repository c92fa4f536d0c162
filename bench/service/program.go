package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/wsgi"
)

// serveCommand is the word by which this program starts itself as the program that is measured.
const serveCommand = "serve"

// workers is how many worker processes are measured; program.py has the same.
const workers = 2

// teller writes what happens to a named pipe, one line of two words for each event, as program.py does.
type teller struct{ pipe *os.File }

func (t teller) tell(word string, what any) { fmt.Fprintln(t.pipe, word, what) }
func (t teller) tellProcess(word string)    { t.tell(word, os.Getpid()) }

// serve is the program that is measured: a parent, or one of its workers. It returns the exit status.
func serve(args []string, stderr io.Writer) int {
	l, err := launch(args, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return l.Wait()
}

func launch(args []string, stderr io.Writer) (service.Launcher, error) {
	flags := flag.NewFlagSet(serveCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	front := flags.Bool("http", false, "serve HTTP")
	length := flags.Duration("job", 0, "how long a service works from its start on")
	timeout := flags.Duration("timeout", time.Minute, "for a graceful stop")
	rolling := flags.Bool("rolling", false, "reload one worker after the other")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 {
		return nil, errors.New("want the name of a pipe")
	}
	pipe, err := os.OpenFile(flags.Arg(0), os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	events := teller{pipe}
	events.tell("version", "goslo, "+runtime.Version())

	conf := service.DefaultConfig()
	conf.GracefulShutdownTimeout = *timeout
	if *rolling {
		conf.ReloadStrategy = service.Rolling
	}
	svc, err := newService(*front, *length, events)
	if err != nil {
		return nil, err
	}
	return service.Launch(conf, svc, service.WithWorkers(workers))
}

func newService(front bool, length time.Duration, events teller) (service.Service, error) {
	if front {
		return newFront(events)
	}
	return &job{ThreadGroup: service.NewThreadGroup(1, nil), length: length, events: events}, nil
}

// job is a service whose only work begins with it and takes a while. A graceful stop waits for that.
type job struct {
	*service.ThreadGroup
	length time.Duration
	events teller
}

func (j *job) Start(ctx context.Context) error {
	if j.length > 0 {
		if _, err := j.Go(ctx, func(ctx context.Context) error { return pause(ctx, j.length) }); err != nil {
			return err
		}
	}
	j.events.tellProcess(eventStarted)
	return nil
}

func (j *job) Stop(ctx context.Context) error {
	j.events.tellProcess(eventStopping)
	return j.Drain(ctx)
}

func (j *job) Reset(context.Context) error { return nil }

// front is a service that answers HTTP requests.
type front struct {
	*wsgi.Service
	events teller
}

func newFront(events teller) (*front, error) {
	conf := wsgi.DefaultServiceConfig()
	conf.Listen, conf.Workers = "127.0.0.1", workers
	conf.Server.Log = logrus.StandardLogger()
	svc, err := wsgi.NewService("front", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, events) }), conf)
	if err != nil {
		return nil, err
	}
	events.tell(eventListening, svc.Port())
	return &front{svc, events}, nil
}

func (f *front) Start(ctx context.Context) error {
	if err := f.Service.Start(ctx); err != nil {
		return err
	}
	f.events.tellProcess(eventStarted)
	return nil
}

func (f *front) Stop(ctx context.Context) error {
	f.events.tellProcess(eventStopping)
	return f.Service.Stop(ctx)
}

func answer(w http.ResponseWriter, r *http.Request, events teller) {
	length := shortRequest
	if r.URL.Path == slowPath {
		events.tellProcess(eventSlow)
		length = slowRequest
	}
	if pause(r.Context(), length) != nil {
		return // the client is gone, or the time of a graceful stop is over
	}
	fmt.Fprintln(w, "done")
}

// pause lets time pass, or fails when the context ends.
func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
