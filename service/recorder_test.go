package service

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"
)

// recorder is a service that notes what is done with it.
type recorder struct {
	name  string
	notes *notes
	start func(ctx context.Context) error
	stop  func(ctx context.Context) error
	wait  func(ctx context.Context) error
	reset func(ctx context.Context) error
}

func (r *recorder) Start(ctx context.Context) error { return r.do(ctx, "start", r.start) }
func (r *recorder) Stop(ctx context.Context) error  { return r.do(ctx, "stop", r.stop) }
func (r *recorder) Wait(ctx context.Context) error  { return r.do(ctx, "wait", r.wait) }
func (r *recorder) Reset(ctx context.Context) error { return r.do(ctx, "reset", r.reset) }

func (r *recorder) do(ctx context.Context, what string, f func(context.Context) error) error {
	r.notes.add(r.name + " " + what)
	if f == nil {
		return nil
	}
	return f(ctx)
}

// notes are what happened, in order.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(note string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, note)
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// take returns the notes since the last call.
func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

func (n *notes) count(note string) int {
	count := 0
	for _, s := range n.all() {
		if s == note {
			count++
		}
	}
	return count
}

// silentLog drops everything.
func silentLog() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
