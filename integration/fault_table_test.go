//go:build integration

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
)

// operation is what a client does.
type operation string

const (
	call   operation = "call"
	cast   operation = "cast"
	fanout operation = "fanout"
	start  operation = "Start" // of a server
)

// phase is how far a request has come when a fault strikes.
type phase int

const (
	unsent    phase = iota // it waits for a connection, or to be written
	sent                   // the broker has not confirmed it
	confirmed              // its reply is to come
)

var phases = []string{"before it is sent", "sent, not confirmed", "confirmed, no reply yet"}

// clientFault is a row of the tables of docs/faults.md about clients: what is seen of a fault in each phase. The
// tables are made of these values, and each of their cells is played against a broker.
type clientFault struct {
	name               string
	play               [3]func(s *scene) // by phase
	elsewhere          string            // the test that plays them all instead
	call, cast, fanout endings
}

// endings are by phase; those of casts and fanouts have no third. An empty one cannot be.
type endings []ending

// ending is how an operation ends.
type ending struct {
	reason transport.TimeoutReason // of a TimeoutError; 0 is for other ends
	errs   []error                 // all that the error matches, beside what reason and when stand for
	remote bool                    // the error is a RemoteError
	when   when
	ran    ran
}

// when tells how soon an operation ends.
type when string

const (
	atOnce        when = "at once"
	atDeadline    when = "at the deadline"
	onceConnected when = "once there is a connection"
	onceSentAgain when = "once its reply is sent again"
	byHeartbeats  when = "within 1.5 heartbeats"
	byMonitor     when = "when the monitor gives up"
	byProbe       when = "within seconds, by a probe"
)

// ran tells whether the method may have been run.
type ran string

const (
	never ran = "not run"
	maybe ran = "may be run"
	once  ran = "run"
)

// succeeds is the end without an error.
func succeeds(at when) ending { return ending{when: at, ran: once} }

// dropped is the end without an error of what nobody runs.
var dropped = ending{when: atOnce, ran: never}

// timesOut is the end of a call at its deadline.
func timesOut(reason transport.TimeoutReason, also ...error) ending {
	return ending{reason: reason, errs: also, when: atDeadline, ran: reasons[reason].ran}
}

func fails(at when, r ran, errs ...error) ending { return ending{errs: errs, when: at, ran: r} }

// reasons are the rows of the table of reasons, by what timeouts match.
var reasons = map[transport.TimeoutReason]struct {
	name    string
	matches error
	ran     ran
}{
	messaging.ReasonNotSent:     {"ReasonNotSent", messaging.ErrNotConnected, never},
	messaging.ReasonBlocked:     {"ReasonBlocked", messaging.ErrBlocked, never},
	messaging.ReasonNoQueue:     {"ReasonNoQueue", messaging.ErrUndeliverable, never},
	messaging.ReasonUnconfirmed: {"ReasonUnconfirmed", messaging.ErrUnconfirmed, maybe},
	messaging.ReasonUnanswered:  {"ReasonUnanswered", nil, maybe},
	messaging.ReasonSilent:      {"ReasonSilent", messaging.ErrMonitorTimeout, maybe},
}

// sentinels are all errors that callers tell apart, by their names in the tables.
var sentinels = map[string]error{
	"ErrTimeout": messaging.ErrTimeout, "ErrMonitorTimeout": messaging.ErrMonitorTimeout,
	"ErrUndeliverable": messaging.ErrUndeliverable, "ErrRejected": messaging.ErrRejected,
	"ErrUnconfirmed": messaging.ErrUnconfirmed, "ErrBlocked": messaging.ErrBlocked,
	"ErrConnectionLost": messaging.ErrConnectionLost, "ErrReplyPathLost": messaging.ErrReplyPathLost,
	"ErrNotConnected": messaging.ErrNotConnected, "ErrTooManySenders": messaging.ErrTooManySenders,
	"ErrTooLarge": messaging.ErrTooLarge, "ErrClosed": messaging.ErrClosed,
	"context.DeadlineExceeded": context.DeadlineExceeded, "context.Canceled": context.Canceled,
}

// impossible is what a cell says that cannot be.
const impossible = "–"

// possible tells whether the end can be.
func (e *ending) possible() bool { return e.when != "" }

// matches are all errors that the end matches.
func (e *ending) matches() []error {
	all := slices.Clone(e.errs)
	if e.reason != 0 {
		all = append(all, messaging.ErrTimeout)
		if err := reasons[e.reason].matches; err != nil {
			all = append(all, err)
		}
	}
	if e.when == atDeadline {
		all = append(all, context.DeadlineExceeded)
	}
	return all
}

// good tells that the operation ends without an error.
func (e *ending) good() bool { return len(e.matches()) == 0 && !e.remote }

// cell is the end in the words of the table.
func (e *ending) cell(op operation) string {
	switch {
	case !e.possible():
		return impossible
	case e.good() && op == call:
		return strings.TrimSuffix("result, "+string(e.when), ", "+string(atOnce))
	case e.good() && op == start:
		return strings.TrimSuffix("serves, "+string(e.when), ", "+string(atOnce))
	case e.good():
		return strings.TrimSuffix("no error, "+string(e.when), ", "+string(atOnce)) + "; " + string(e.ran)
	case e.reason != 0:
		text := strings.Join(append([]string{"timeout, *" + e.reason.String() + "*"}, namesOf(e.errs)...), " and ")
		if e.when != atDeadline {
			text += ", " + string(e.when)
		}
		return text
	}
	names := namesOf(e.errs)
	if e.remote {
		names = append(names, "`*RemoteError`")
	}
	if names == nil { // nothing but the context's own error
		names = append(names, "`"+nameOf(context.DeadlineExceeded)+"`")
	}
	text := strings.Join(names, " and ") + " " + string(e.when)
	if op != start {
		text += "; " + string(e.ran)
	}
	return text
}

// namesOf are the names of errors, as code.
func namesOf(errs []error) []string {
	var names []string
	for _, err := range errs {
		names = append(names, "`"+nameOf(err)+"`")
	}
	return names
}

func nameOf(err error) string {
	for name, sentinel := range sentinels {
		if sentinel == err { //nolint:errorlint // the sentinel itself
			return name
		}
	}
	return err.Error()
}

// check compares an error with the end.
func (e *ending) check(tb testing.TB, err error) {
	tb.Helper()
	if (err == nil) != e.good() {
		tb.Errorf("it ended with %v", err)
		return
	}
	want := e.matches()
	for name, sentinel := range sentinels {
		if got, want := errors.Is(err, sentinel), slices.Contains(want, sentinel); got != want {
			tb.Errorf("%v matches %s: %t, want %t", err, name, got, want)
		}
	}
	var remote *messaging.RemoteError
	if got := errors.As(err, &remote); got != e.remote {
		tb.Errorf("%v is a RemoteError: %t", err, got)
	}
	var timeout *messaging.TimeoutError
	switch isTimeout := errors.As(err, &timeout); {
	case isTimeout != (e.reason != 0):
		tb.Errorf("%v is a TimeoutError: %t", err, isTimeout)
	case isTimeout && timeout.Reason != e.reason:
		tb.Errorf("%v: the reason is %q, want %q", err, timeout.Reason, e.reason)
	}
}

// cell is one cell of the tables about clients.
type cell struct {
	fault *clientFault
	phase phase
	op    operation
	want  ending
}

func (c cell) name() string {
	return fmt.Sprintf("%s/%s/%s", c.fault.name, c.op, phases[c.phase])
}

// cells are those that can be.
func (f *clientFault) cells() []cell {
	var all []cell
	for _, of := range []struct {
		op   operation
		ends endings
	}{{call, f.call}, {cast, f.cast}, {fanout, f.fanout}} {
		for i, e := range of.ends {
			if e.possible() {
				all = append(all, cell{f, phase(i), of.op, e})
			}
		}
	}
	return all
}

// clientCell finds a cell that is played in a test of its own.
func clientCell(tb testing.TB, fault string, p phase, op operation) *ending {
	tb.Helper()
	for i := range clientFaults {
		if clientFaults[i].name != fault {
			continue
		}
		for _, c := range clientFaults[i].cells() {
			if c.phase == p && c.op == op {
				return &c.want
			}
		}
	}
	tb.Fatalf("no cell for %s of a %s %s", fault, op, phases[p])
	return nil
}

// TestFaultsLookToClientsAsDocumented plays every cell of the tables about clients.
func TestFaultsLookToClientsAsDocumented(t *testing.T) {
	t.Parallel()
	stage := newStage(t)
	var cells []cell
	for i := range clientFaults {
		for _, c := range clientFaults[i].cells() {
			switch {
			case c.fault.play[c.phase] != nil:
				cells = append(cells, c)
			case c.fault.elsewhere == "":
				t.Errorf("%s is not played", c.name())
			}
		}
	}
	together(t, cells, cell.name, stage.play)
}

// TestFaultTablesAreThoseOfTheDocs compares docs/faults.md with the cells.
func TestFaultTablesAreThoseOfTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	got := tablesIn(string(text))
	want := []string{reasonTable(), callTable(), castTable(), serverTable()}
	if len(got) != len(want) {
		t.Errorf("docs/faults.md has %d tables, want %d", len(got), len(want))
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("table %d of docs/faults.md is not that of the tests, which is\n%s", i+1, want[i])
		}
	}
}

// tablesIn are the tables of a text in Markdown.
func tablesIn(text string) []string {
	var tables []string
	inside := false
	for line := range strings.SplitSeq(text, "\n") {
		row := strings.HasPrefix(line, "|")
		switch {
		case row && inside:
			tables[len(tables)-1] += line + "\n"
		case row:
			tables = append(tables, line+"\n")
		}
		inside = row
	}
	return tables
}

// markdown is a table of rows, the first of which is its head.
func markdown(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

func reasonTable() string {
	rows := [][]string{{"timeout", "`Reason`", "also matches", "the method is"}}
	for _, reason := range []transport.TimeoutReason{
		messaging.ReasonNotSent, messaging.ReasonBlocked, messaging.ReasonNoQueue,
		messaging.ReasonUnconfirmed, messaging.ReasonUnanswered, messaging.ReasonSilent,
	} {
		r := reasons[reason]
		matches := ""
		if r.matches != nil {
			matches = "`" + nameOf(r.matches) + "`"
		}
		fate := "not run"
		if r.ran == maybe {
			fate = "perhaps run"
		}
		rows = append(rows, []string{"*" + reason.String() + "*", "`" + r.name + "`", matches, fate})
	}
	return markdown(rows)
}

func callTable() string {
	rows := [][]string{slices.Concat([]string{"fault"}, phases)}
	for i := range clientFaults {
		if f := &clientFaults[i]; f.call != nil {
			rows = append(rows, f.row("", call, f.call))
		}
	}
	return markdown(rows)
}

// castTable has two rows for faults that casts and fanouts see otherwise.
func castTable() string {
	rows := [][]string{slices.Concat([]string{"fault"}, phases[:confirmed])}
	for i := range clientFaults {
		f := &clientFaults[i]
		if f.cast == nil {
			continue
		}
		both := f.row("", cast, f.cast)
		if slices.Equal(both, f.row("", fanout, f.fanout)) {
			rows = append(rows, both)
			continue
		}
		rows = append(rows, f.row(": cast", cast, f.cast), f.row(": fanout", fanout, f.fanout))
	}
	return markdown(rows)
}

func (f *clientFault) row(suffix string, op operation, ends endings) []string {
	row := []string{f.name + suffix}
	for _, e := range ends {
		row = append(row, e.cell(op))
	}
	return row
}

// scene is a cell that is played.
type scene struct {
	*testing.T
	stage  *stage
	op     operation
	want   *ending
	bridge *bridge
	id     string // of the request

	query   string           // options of the transport
	url     string           // of the transport, empty for the bridge's
	to      messaging.Target // of the request
	opts    []messaging.ClientOption
	timeout time.Duration
	request mark

	party  *party
	client *messaging.Client
	server *messaging.MessageHandlingServer // of a Start
	cancel context.CancelFunc
	begun  time.Time
	struck time.Time // when the fault did; zero where it was there before
	ended  chan error

	check func(err error) // what is special about the error
	mend  func()          // ends the fault
	runs  int             // how often the method must have been run in the end; -1 where that is not certain
	over  bool            // the transport is of no use any more
}

// newScene sets a scene up. What clear does is to be done at its end.
func (st *stage) newScene(t *testing.T, op operation) *scene {
	t.Helper()
	s := &scene{
		T: t, stage: st, op: op, bridge: newBridge(t, st.bus.url), id: unique("id"), to: st.bus.target(""),
		timeout: patience, ended: make(chan error, 1), runs: -1,
	}
	s.mend = s.bridge.open
	s.request = mark{ID: s.id}
	return s
}

// clear ends the fault, and the method where that is held.
func (s *scene) clear() {
	s.stage.marks.release(s.id)
	s.mend()
}

// play plays a cell and checks what is seen.
func (st *stage) play(t *testing.T, c cell) {
	s := st.newScene(t, c.op)
	defer s.clear()
	s.end(c.fault.play[c.phase], c.want)
	s.clear()
	if !s.over {
		s.works()
	}
	s.checkRuns()
}

// end plays, and checks how the operation ends.
func (s *scene) end(play func(*scene), want ending) {
	s.Helper()
	if s.want = &want; want.when == atDeadline {
		s.timeout = time.Second
	}
	play(s)
	if s.begun.IsZero() {
		s.begin()
	}
	err := receive(s.T, s.ended)
	s.checkTime(err)
	want.check(s, err)
	var listen *messaging.ServerListenError
	if got := errors.As(err, &listen); got != (s.op == start && err != nil) {
		s.Errorf("%v is a ServerListenError: %t", err, got)
	}
	if s.check != nil {
		s.check(err)
	}
}

// checkTime compares when it ended with what is wanted, generously upwards.
func (s *scene) checkTime(err error) {
	s.Helper()
	since, least, most := s.struck, time.Duration(0), promptly
	if since.IsZero() {
		since = s.begun
	}
	if s.want.when == atDeadline {
		since, least, most = s.begun, s.timeout, s.timeout+promptly
	}
	took := time.Since(since)
	s.Logf("after %s: %v", took, err)
	if took < least || took > most {
		s.Errorf("it ended after %s, want %s (%s to %s)", took, s.want.when, least, most)
	}
}

// works checks that the transport is of use again.
func (s *scene) works() {
	s.Helper()
	good, err := messaging.NewClient(s.party.Transport, s.stage.bus.target(""), messaging.WithTimeout(patience))
	if err != nil {
		s.Fatal(err)
	}
	ctx := patient(s)
	for { // a link that is half open may still be to be noticed
		err := good.Call(ctx, "mark", mark{ID: unique("id")}, nil)
		if err == nil {
			return
		}
		if !errors.Is(err, messaging.ErrConnectionLost) {
			s.Fatalf("the next call: %v", err)
		}
	}
}

// checkRuns compares how often the method was run.
func (s *scene) checkRuns() {
	s.Helper()
	switch s.want.ran {
	case never:
		s.runs = 0
	case once:
		s.runs = 1
	case maybe:
	}
	if s.runs > 0 {
		eventually(s.T, "the method is run", func() bool { return s.stage.marks.count(s.id) >= s.runs })
	}
	if got := s.stage.marks.count(s.id); got > 1 || s.runs >= 0 && got != s.runs {
		s.Errorf("the method was run %d times, want %d", got, s.runs)
	}
}

// open makes the transport, which does not dial.
func (s *scene) open() {
	s.Helper()
	if s.url == "" {
		s.url = s.bridge.url + s.query
	}
	s.party = join(s.T, s.url)
}

// connect opens the transport and proves that it works.
func (s *scene) connect() {
	s.Helper()
	s.open()
	s.connected()
}

// connected proves that the transport works, which opens its connections and channels.
func (s *scene) connected() {
	s.Helper()
	good, err := messaging.NewClient(s.party.Transport, s.stage.bus.target(""), messaging.WithTimeout(patience))
	if err != nil {
		s.Fatal(err)
	}
	for what, err := range map[string]error{
		"call":   good.Call(s.Context(), "mark", mark{ID: unique("id")}, nil),
		"cast":   good.Cast(s.Context(), "mark", mark{ID: unique("id")}),
		"fanout": good.Fanout(s.Context(), "mark", mark{ID: unique("id")}),
	} {
		if err != nil {
			s.Fatalf("a %s before the fault: %v", what, err)
		}
	}
}

// begin begins the operation.
func (s *scene) begin() {
	s.Helper()
	var err error
	s.begun = time.Now()
	ctx, cancel := context.WithCancel(s.Context())
	if s.op == start {
		s.server, err = messaging.NewRPCServer(s.party.Transport, s.to, s.stage.marks.endpoints())
		ctx, cancel = context.WithTimeout(s.Context(), s.timeout)
	} else {
		s.client, err = messaging.NewClient(s.party.Transport, s.to, append(s.opts, messaging.WithTimeout(s.timeout))...)
	}
	s.Cleanup(cancel)
	rawDo(s, err)
	s.cancel = cancel
	go func() { s.ended <- s.do(ctx) }() // ends with its timeout
}

func (s *scene) do(ctx context.Context) error {
	switch s.op {
	case cast:
		return s.client.Cast(ctx, "mark", s.request)
	case fanout:
		return s.client.Fanout(ctx, "mark", s.request)
	case start:
		return s.server.Start(ctx)
	case call:
	}
	return s.client.Call(ctx, "mark", s.request, nil)
}

// strike notes that the fault strikes now.
func (s *scene) strike() { s.struck = time.Now() }
