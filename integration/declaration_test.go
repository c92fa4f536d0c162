//go:build integration

package integration_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// recordedFrames are what oslo.messaging sent by method, option set, release and step. What is false or empty is left out.
type recordedFrames struct {
	OptionSets map[string]map[string]any `json:"option_sets"`
	Frames     []struct {
		Producer  string
		OptionSet string `json:"option_set"`
		Step      string
		Method    string
		Args      map[string]any
	}
}

// TestBrokerGetsTheDeclarationsOfOslo plays every recorded option set with a server and a client, and compares what the
// broker gets from either with what three releases of oslo.messaging sent.
func TestBrokerGetsTheDeclarationsOfOslo(t *testing.T) {
	t.Parallel()
	shared := broker.Shared(t)
	shared.RequireControl(t)
	recorded := readFrames(t)
	for set, options := range recorded.OptionSets {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			b := vhostBus(t, shared)
			b.exchange, b.topic = "x_"+set, set+"_topic"
			want := recorded.steps(set)
			if len(want) == 0 {
				t.Fatal("nothing was recorded")
			}
			got := b.playOptions(t, options)
			for producer, steps := range want {
				if diff := cmp.Diff(steps, got); diff != "" {
					t.Errorf("the broker gets something else than from oslo.messaging %s (-oslo +goslo):\n%s", producer, diff)
				}
			}
		})
	}
}

func readFrames(tb testing.TB) *recordedFrames {
	tb.Helper()
	file, err := os.Open("../transport/rabbit/testdata/declarations.json.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	var r recordedFrames
	if err := json.NewDecoder(unpacked).Decode(&r); err != nil {
		tb.Fatal(err)
	}
	return &r
}

// steps are the frames of an option set as text, by release and step.
func (r *recordedFrames) steps(set string) map[string]map[string][]string {
	steps := map[string]map[string][]string{}
	for _, f := range r.Frames {
		if f.OptionSet != set {
			continue
		}
		if steps[f.Producer] == nil {
			steps[f.Producer] = map[string][]string{}
		}
		types, _ := f.Args["argument_types"].(map[string]any)
		if arguments, ok := f.Args["arguments"].(map[string]any); ok {
			for name, value := range arguments {
				arguments[name] = fmt.Sprintf("%v %v", types[name], plainNumber(value))
			}
		}
		delete(f.Args, "argument_types")
		steps[f.Producer][f.Step] = append(steps[f.Producer][f.Step], frameText(f.Method, f.Args))
	}
	return steps
}

// plainNumber makes a number of JSON look as Go's integers do.
func plainNumber(value any) any {
	if f, ok := value.(float64); ok {
		return int64(f)
	}
	return value
}

// uniqueSuffix is the end of a queue's name that differs from run to run.
var uniqueSuffix = regexp.MustCompile(`(reply|_fanout)_(?:[0-9a-f]{32}\b|(\S+:\S+:)\d+\b)`)

// frameText is a method with those of its fields that say something, sorted.
func frameText(name string, fields map[string]any) string {
	var b strings.Builder
	b.WriteString(name)
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		value := plainNumber(fields[field])
		if table, ok := value.(map[string]any); ok && len(table) == 0 || value == false || value == "" || value == 0 {
			continue
		}
		fmt.Fprintf(&b, " %s=%v", field, value)
	}
	return uniqueSuffix.ReplaceAllString(b.String(), "${1}_${2}<id>")
}

// playOptions runs a server and a client with options, and returns what they sent at each step.
func (b *bus) playOptions(t *testing.T, options map[string]any) map[string][]string {
	t.Helper()
	query := url.Values{}
	for name, value := range options {
		if text := fmt.Sprint(plainNumber(value)); !strings.HasPrefix(text, "bz") { // refused, and no matter of declarations
			query.Set(name, text)
		}
	}
	declared := func(tap *tap, from int) (frames []string, to int) {
		sent := tap.sent("")
		for _, m := range sent[from:] {
			switch m.Name {
			case "basic.qos":
				if !query.Has("rabbit_qos_prefetch_count") { // goslo's own, which is never without a limit
					continue
				}
			case "exchange.declare", "queue.declare", "queue.bind", "queue.delete", "basic.consume":
			default:
				continue
			}
			frames = append(frames, frameText(m.Name, m.Fields))
		}
		return frames, len(sent)
	}
	url := b.url + "?" + query.Encode()
	steps := map[string][]string{}
	// step waits for the last method of a step, of which there are count by then: the tap notes later than the broker reads.
	step := func(name string, tap *tap, from int, last string, count int) int {
		eventually(t, name+" is noted", func() bool { return len(tap.sent(last)) >= count })
		frames, to := declared(tap, from)
		if len(frames) > 0 {
			steps[name] = frames
		}
		return to
	}
	serverTap, clientTap := newTap(t, url), newTap(t, url)
	p := join(t, serverTap.url)
	srv, err := messaging.NewRPCServer(p.Transport, b.target("node1"), newEndpoints("node1", p.notes))
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(patient(t)); err != nil {
		t.Fatalf("start: %v", err)
	}
	seen := step("server_start", serverTap, 0, "basic.consume", 3)
	client := join(t, clientTap.url).client(t, b, messaging.WithTimeout(patience))
	if err := client.Call(t.Context(), "who", nil, nil); err != nil {
		t.Fatalf("call: %v", err)
	}
	called := step("call", clientTap, 0, "basic.publish", 1)
	if err := client.Fanout(patient(t), "note", nil); err != nil {
		t.Fatalf("fanout: %v", err)
	}
	step("cast_fanout", clientTap, called, "basic.publish", 2)
	receive(t, p.notes)
	for _, end := range []error{srv.Stop(patient(t)), srv.Wait(patient(t))} {
		if end != nil {
			t.Fatal(end)
		}
	}
	deleted := 1
	if query.Has("use_queue_manager") || query.Has("rabbit_stream_fanout") { // queues with names that stay
		deleted = 0
	}
	step("stop", serverTap, seen, "queue.delete", deleted)
	return steps
}
