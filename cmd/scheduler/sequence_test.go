package main

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// noted is a service that notes what is done with it.
type noted struct {
	name  string
	log   *[]string
	fails error
}

func (n noted) note(what string) error { *n.log = append(*n.log, what+" "+n.name); return nil }

func (n noted) Start(context.Context) error { _ = n.note("start"); return n.fails }
func (n noted) Stop(context.Context) error  { return n.note("stop") }
func (n noted) Wait(context.Context) error  { return n.note("wait") }
func (n noted) Reset(context.Context) error { return n.note("reset") }

func TestSequenceEndsWhoAsksBeforeWhoIsAsked(t *testing.T) {
	t.Parallel()
	var log []string
	q := sequence{noted{name: "scheduler", log: &log}, noted{name: "front", log: &log}}
	for _, do := range []func(context.Context) error{q.Start, q.Reset, q.Stop, q.Wait} {
		if err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"start scheduler", "start front", "reset scheduler", "reset front",
		"stop front", "stop scheduler", "wait front", "wait scheduler",
	}
	if !slices.Equal(log, want) {
		t.Errorf("done: %q, want %q", log, want)
	}
}

func TestSequenceThatCannotStartIsUndone(t *testing.T) {
	t.Parallel()
	var log []string
	busy := errors.New("the port is busy")
	q := sequence{noted{name: "a", log: &log}, noted{name: "b", log: &log}, noted{name: "c", log: &log, fails: busy}}
	if err := q.Start(t.Context()); !errors.Is(err, busy) {
		t.Errorf("Start = %v, want %v", err, busy)
	}
	if want := []string{"start a", "start b", "start c", "stop b", "stop a"}; !slices.Equal(log, want) {
		t.Errorf("done: %q, want %q", log, want)
	}
}
