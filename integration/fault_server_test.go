//go:build integration

package integration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/messaging"
)

// serverFault is a row of the table of docs/faults.md about servers.
type serverFault struct {
	name              string
	start             ending
	starts            func(s *scene)
	running, replying serverCell
}

// serverCell is a cell in words, and what proves them.
type serverCell struct {
	text string
	play func(s *scene)
}

// arrives is for replies that the broker has: their confirms are the only thing that is missing.
const arrives = "arrives"

var serverFaults = []serverFault{
	{
		name:  "no broker answers, for long",
		start: fails(atDeadline, "", messaging.ErrNotConnected), starts: (*scene).toNobody,
		running:  serverCell{"goes on; its reply waits for a connection until the transport is closed", (*scene).serverCutForGood},
		replying: serverCell{arrives, (*scene).serverCutForGoodReplying},
	},
	{
		name:  "login refused",
		start: fails(atDeadline, "", messaging.ErrNotConnected), starts: (*scene).wrongPassword,
	},
	{
		name:  "no such virtual host",
		start: fails(atDeadline, "", messaging.ErrNotConnected), starts: (*scene).wrongHost,
	},
	{
		name:  "connection lost and made again",
		start: succeeds(onceConnected), starts: (*scene).startLate,
		running:  serverCell{"goes on; its reply is sent on the next connection", (*scene).serverCut},
		replying: serverCell{"sent again on the next connection; the caller gets it once", (*scene).serverCutReplying},
	},
	{
		name:  "broker frozen",
		start: fails(atDeadline, "", messaging.ErrNotConnected), starts: (*scene).frozenBefore,
		running:  serverCell{"goes on; its reply arrives when the broker goes on", (*scene).serverFrozen},
		replying: serverCell{arrives, (*scene).serverFrozenReplying},
	},
	{
		name:  "broker blocks (memory or disk alarm)",
		start: succeeds(atOnce), starts: (*scene).blockedBefore,
		running:  serverCell{"goes on, and requests are taken; replies wait until the alarm ends", (*scene).serverBlocked},
		replying: serverCell{arrives, (*scene).serverBlockedReplying},
	},
	{
		name:  "exchange refused: no right to make it",
		start: fails(atOnce, "", messaging.ErrRejected), starts: (*scene).startRefused,
	},
	{
		name:  "queue locked by another connection",
		start: fails(atDeadline, ""), starts: (*scene).startLocked,
	},
	{
		name:  "`Start`'s context cancelled",
		start: fails(atOnce, "", messaging.ErrNotConnected, context.Canceled), starts: (*scene).cancelledBefore,
	},
	{
		name:  "transport closed",
		start: fails(atOnce, "", messaging.ErrClosed), starts: (*scene).closedBefore,
		running:  serverCell{"goes on; its reply is lost", (*scene).serverClosed},
		replying: serverCell{arrives, (*scene).serverClosedReplying},
	},
	{
		name:    "request malformed",
		running: serverCell{"not run: dropped and counted", (*scene).requestMalformed},
	},
	{
		name:    "request's deadline over before it is taken (Go callers)",
		running: serverCell{"not run: dropped and counted", (*scene).requestExpired},
	},
	{
		name:    "caller's deadline over (Go callers)",
		running: serverCell{"its context ends", (*scene).callerGivesUp},
	},
	{
		name:    "server's queue deleted",
		running: serverCell{"goes on and is answered; the queue is made and consumed again within a second", (*scene).serverQueueDeleted},
	},
	{
		name:     "caller's reply queue gone",
		replying: serverCell{"tried again aside for 60 s (`kombu_missing_consumer_retry_timeout`), then dropped and counted", (*scene).callerGone},
	},
	{
		name:     "result longer than 16 MiB",
		replying: serverCell{"the caller gets a `*RemoteError` instead", (*scene).resultTooLong},
	},
	{
		name:    "`Wait`'s context ends",
		running: serverCell{"its context ends; `Wait` fails with a `*TaskTimeoutError`, and can be called again", (*scene).waitEnds},
	},
}

func serverTable() string {
	rows := [][]string{{"fault", "`Start`", "a method runs", "its reply is sent, not confirmed"}}
	for i := range serverFaults {
		f := &serverFaults[i]
		row := []string{f.name, f.start.cell(start)}
		for _, c := range []serverCell{f.running, f.replying} {
			if c.play == nil {
				c.text = impossible
			}
			row = append(row, c.text)
		}
		rows = append(rows, row)
	}
	return markdown(rows)
}

// serverScene is one cell of the table about servers.
type serverScene struct {
	name string
	play func(t *testing.T)
}

// TestFaultsLookToServersAsDocumented plays every cell of the table about servers.
func TestFaultsLookToServersAsDocumented(t *testing.T) {
	t.Parallel()
	stage := newStage(t)
	var scenes []serverScene
	add := func(name string, play func(s *scene)) {
		scenes = append(scenes, serverScene{name, func(t *testing.T) {
			s := stage.newScene(t, start)
			defer s.clear()
			play(s)
		}})
	}
	for i := range serverFaults {
		f := &serverFaults[i]
		if f.start.possible() {
			add(f.name+"/Start", func(s *scene) { s.playStart(f) })
		}
		if f.running.play != nil {
			add(f.name+"/a method runs", f.running.play)
		}
		if f.replying.play != nil {
			add(f.name+"/its reply is sent", f.replying.play)
		}
	}
	together(t, scenes, func(s serverScene) string { return s.name }, func(t *testing.T, s serverScene) { s.play(t) })
}

// playStart checks how Start ends, and that the server serves where it ends well.
func (s *scene) playStart(f *serverFault) {
	s.to = newBus(s.T).target("host1")
	s.end(f.starts, f.start)
	if !f.start.good() {
		return
	}
	stopLater(s, s.server)
	s.clear()
	s.call()
	if err := receive(s.T, s.ended); err != nil {
		s.Errorf("a call to the server: %v", err)
	}
}

// call calls the server from a transport that no fault strikes.
func (s *scene) call() {
	s.Helper()
	client, err := messaging.NewClient(join(s, s.stage.bus.url).Transport, s.to, append(s.opts, messaging.WithTimeout(patience))...)
	rawDo(s, err)
	ctx := patient(s)
	go func() { s.ended <- client.Call(ctx, "mark", s.request, nil) }() // ends with ctx
}

// serve starts a server whose connections go over the bridge.
func (s *scene) serve() {
	s.Helper()
	s.to = newBus(s.T).target("host1")
	s.open()
	server, err := messaging.NewRPCServer(s.party.Transport, s.to, s.stage.marks.endpoints())
	rawDo(s, err)
	rawDo(s, server.Start(patient(s)))
	s.server = server
	stopLater(s, server)
}

// serveRunning has it run a method, which is held.
func (s *scene) serveRunning() {
	s.Helper()
	s.serve()
	s.request.Hold = true
	s.call()
	s.awaitRun()
}

func (s *scene) awaitRun() {
	s.Helper()
	eventually(s, "the method runs", func() bool { return s.stage.marks.count(s.id) > 0 })
}

// answered checks that the call has its result, and that the method was run once.
func (s *scene) answered() {
	s.Helper()
	if err := receive(s.T, s.ended); err != nil {
		s.Errorf("the call: %v", err)
	}
	if got := s.stage.marks.count(s.id); got != 1 {
		s.Errorf("the method was run %d times", got)
	}
}

// unanswered checks that the call has none for a moment.
func (s *scene) unanswered() {
	s.Helper()
	receiveNothing(s, s.ended)
}

// goesOn checks that the method's context has not ended, and lets the method end.
func (s *scene) goesOn() {
	s.Helper()
	if got := s.stage.marks.interrupted(s.id); got != nil {
		s.Errorf("the method's context has ended: %v", got)
	}
	s.stage.marks.release(s.id)
}

func (s *scene) serverCutForGood() {
	s.serveRunning()
	s.bridge.close()
	s.awaitLoss()
	s.goesOn()
	s.unanswered()
	s.bridge.open()
	s.answered()
}

func (s *scene) serverCut() {
	s.serveRunning()
	s.bridge.cut()
	s.awaitLoss()
	s.goesOn()
	s.answered()
}

// reply has the method end, and its reply sent, whose confirm is held back.
func (s *scene) reply() {
	s.Helper()
	s.serveRunning()
	s.connected()
	s.bridge.holdConfirms()
	s.goesOn()
	s.bridge.awaitPassed(s, s.id)
}

func (s *scene) serverCutForGoodReplying() {
	s.reply()
	s.bridge.close()
	s.answered()
}

func (s *scene) serverFrozenReplying() {
	s.reply()
	s.bridge.freeze()
	s.answered()
}

func (s *scene) serverBlockedReplying() {
	s.reply()
	s.block()
	s.answered()
}

func (s *scene) serverClosedReplying() {
	s.reply()
	s.closeNow()
	s.answered()
}

func (s *scene) serverCutReplying() {
	s.reply()
	s.bridge.open()
	s.bridge.cut()
	s.answered()
	s.id = unique("id") // the next call is not answered by the second copy
	s.request = mark{ID: s.id}
	s.call()
	s.answered()
}

func (s *scene) startLate() {
	s.toNobody()
	s.begin()
	select {
	case err := <-s.ended:
		s.Fatalf("it ended without a connection: %v", err)
	case <-time.After(moment):
	}
	s.strike()
	s.bridge.open()
}

func (s *scene) serverFrozen() {
	s.serveRunning()
	s.bridge.freeze()
	s.goesOn()
	s.unanswered()
	s.bridge.open()
	s.answered()
}

func (s *scene) serverBlocked() {
	s.serveRunning()
	s.connected()
	s.block()
	another := unique("id")
	client, err := messaging.NewClient(join(s, s.stage.bus.url).Transport, s.to, messaging.WithTimeout(patience))
	rawDo(s, err)
	rawDo(s, client.Cast(s.Context(), "mark", mark{ID: another}))
	eventually(s, "a request is taken", func() bool { return s.stage.marks.count(another) == 1 })
	s.goesOn()
	s.unanswered()
	s.mend()
	s.answered()
}

func (s *scene) startRefused() {
	s.to = messaging.Target{Exchange: "amq.nope", Topic: unique("topic"), Server: "host1"}
	s.connect()
}

func (s *scene) startLocked() {
	_, err := channel(s, s.stage.bus.url).QueueDeclare(s.to.Topic, false, false, true, false, nil)
	rawDo(s, err)
	s.connect()
	s.toldWhy()
}

func (s *scene) serverClosed() {
	s.serveRunning()
	s.closeNow()
	receiveNothing(s, s.ended)
	s.goesOn()
	s.unanswered()
}

func (s *scene) requestMalformed() {
	s.serve()
	rawPublish(s.T, dial(s, s.stage.bus.url), "", s.to.Topic, osloMessage("this is no request"))
	eventually(s, "it is counted", func() bool { return s.party.driver.Stats().Malformed == 1 })
	s.call()
	s.answered()
}

func (s *scene) requestExpired() {
	s.serve()
	late := enveloped(s, map[string]any{"method": "mark", "args": mark{ID: s.id}, "_unique_id": unique("u")})
	late.Headers = map[string]any{"goslo.deadline": time.Now().Add(-time.Second).UnixMilli()}
	rawPublish(s.T, dial(s, s.stage.bus.url), "", s.to.Topic, late)
	eventually(s, "it is counted", func() bool { return s.server.Stats().Expired == 1 })
	if got := s.stage.marks.count(s.id); got != 0 {
		s.Errorf("it was run %d times", got)
	}
}

func (s *scene) callerGivesUp() {
	s.serve()
	caller := join(s, s.stage.bus.url)
	client, err := messaging.NewClient(caller.Transport, s.to, messaging.WithTimeout(3*time.Second))
	rawDo(s, err)
	rawDo(s, caller.Ping(patient(s)))
	s.request.Hold = true
	if err := client.Call(s.Context(), "mark", s.request, nil); !errors.Is(err, messaging.ErrTimeout) {
		s.Errorf("the call = %v, want a timeout", err)
	}
	eventually(s, "the method's context ends", func() bool { return s.stage.marks.interrupted(s.id) != nil })
}

func (s *scene) serverQueueDeleted() {
	s.serveRunning()
	for _, queue := range []string{s.to.Topic, s.to.Topic + ".host1"} {
		deleteQueue(s.T, s.stage.bus, queue)
	}
	s.goesOn()
	s.answered()
	deleted := time.Now()
	s.opts = append(s.opts, messaging.WithMandatory())
	client, err := messaging.NewClient(join(s, s.stage.bus.url).Transport, s.to, s.opts...)
	rawDo(s, err)
	again(s.T, deleted, "the queue is consumed again", func(ctx context.Context) error {
		return client.Call(ctx, "mark", mark{ID: unique("id")}, nil)
	})
}

func (s *scene) callerGone() {
	s.query = "?kombu_missing_consumer_retry_timeout=1"
	s.serve()
	call := enveloped(s, map[string]any{
		"method": "mark", "args": mark{ID: s.id}, "_unique_id": unique("u"), "_msg_id": unique("m"), "_reply_q": "reply_" + unique("gone"),
	})
	rawPublish(s.T, dial(s, s.stage.bus.url), "", s.to.Topic, call)
	eventually(s, "it is dropped", func() bool { return s.party.driver.Stats().RepliesDropped == 1 })
	if got := s.party.driver.Stats().RepliesRetried; got == 0 {
		s.Error("the reply was not tried again")
	}
	s.id = unique("id")
	s.request = mark{ID: s.id}
	s.call()
	s.answered()
}

func (s *scene) resultTooLong() {
	s.serve()
	s.request.Grow = maxSize
	s.call()
	var remote *messaging.RemoteError
	if err := receive(s.T, s.ended); !errors.As(err, &remote) || !strings.Contains(remote.Message, "too large") {
		s.Errorf("the call = %v, want a RemoteError that says so", err)
	}
}

func (s *scene) waitEnds() {
	s.serveRunning()
	rawDo(s, s.server.Stop(patient(s)))
	ctx, cancel := context.WithTimeout(s.Context(), moment)
	defer cancel()
	var late *messaging.TaskTimeoutError
	if err := s.server.Wait(ctx); !errors.As(err, &late) || !errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("Wait = %v, want a TaskTimeoutError", err)
	}
	eventually(s, "the method's context ends", func() bool { return s.stage.marks.interrupted(s.id) != nil })
	if err := s.server.Wait(patient(s)); err != nil {
		s.Errorf("Wait again = %v", err)
	}
}
