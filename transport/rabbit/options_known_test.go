package rabbit

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

// knownOption is one of oslo.messaging's options. Values are as they stand in a query.
type knownOption struct {
	Name, Default string
	Former        []string
	With          string // what it needs beside it
	Right, Wrong  []string
}

// query is the option under one of its names, with what it needs.
func (o *knownOption) query(name, value string) string {
	if o.With == "" {
		return name + "=" + value
	}
	return o.With + "&" + name + "=" + value
}

func (o *knownOption) names() []string { return append([]string{o.Name}, o.Former...) }

func knownOptions(tb testing.TB) []*knownOption {
	tb.Helper()
	data, err := os.ReadFile("testdata/options.json")
	if err != nil {
		tb.Fatal(err)
	}
	var list struct{ Options []*knownOption }
	if err := json.Unmarshal(data, &list); err != nil || len(list.Options) != 38 {
		tb.Fatalf("%d options, error %v, want 38", len(list.Options), err)
	}
	return list.Options
}

// ownOptions are those that oslo.messaging does not have.
var ownOptions = []string{
	"consumer_probe", "max_senders", "profile", "rabbit_password_file", "rabbit_username_file", "reply_queue_prefix", "ssl_insecure",
}

func TestOptionsAreOslosAndAFewOfOurOwn(t *testing.T) {
	t.Parallel()
	want := slices.Clone(ownOptions)
	for _, o := range knownOptions(t) {
		want = append(want, o.names()...)
	}
	slices.Sort(want)
	var got []string
	for _, some := range []map[string]func(o *Options, value string) error{parsers, connectionParsers, unusedParsers} {
		got = slices.AppendSeq(got, maps.Keys(some))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the options are others (-want +got):\n%s", diff)
	}
}

func TestEveryOptionOfOsloIsReadUnderEachOfItsNames(t *testing.T) {
	t.Parallel()
	for _, o := range knownOptions(t) {
		changes := false
		without := mustParse(t, o.With)
		for _, value := range o.Right {
			present := mustParse(t, o.query(o.Name, value))
			changes = changes || !cmp.Equal(present, without)
			for _, former := range o.Former {
				if diff := cmp.Diff(present, mustParse(t, o.query(former, value))); diff != "" {
					t.Errorf("%s=%s is not what %s is (-want +got):\n%s", former, value, o.Name, diff)
				}
			}
		}
		if !changes {
			t.Errorf("%s: none of the values %q changes an option", o.Name, o.Right)
		}
	}
}

func TestPresentNameOfAnOptionWinsOverAFormerOne(t *testing.T) {
	t.Parallel()
	tested := 0
	for _, o := range knownOptions(t) {
		for _, former := range o.Former {
			tested++
			values := distinct(t, o)
			for _, c := range [][2]string{{values[0], values[1]}, {values[1], values[0]}} {
				present, old := o.query(o.Name, c[0]), former+"="+c[1]
				want := mustParse(t, present)
				for _, query := range []string{present + "&" + old, old + "&" + present} {
					if diff := cmp.Diff(want, mustParse(t, query)); diff != "" {
						t.Errorf("%s is read otherwise (-want +got):\n%s", query, diff)
					}
				}
			}
			if _, err := parse("rabbit://h/?" + o.query(o.Name, values[0]) + "&" + former + "=" + o.Wrong[0]); err == nil {
				t.Errorf("a wrong %s passes beside %s", former, o.Name)
			}
		}
	}
	if tested != len(replaced) {
		t.Errorf("%d former names, want %d", tested, len(replaced))
	}
}

// distinct are two right values that mean different things.
func distinct(tb testing.TB, o *knownOption) [2]string {
	tb.Helper()
	first := o.Right[0]
	for _, other := range o.Right[1:] {
		if !cmp.Equal(mustParse(tb, o.query(o.Name, other)), mustParse(tb, o.query(o.Name, first))) {
			return [2]string{first, other}
		}
	}
	tb.Fatalf("%s: all values mean the same", o.Name)
	return [2]string{}
}

func TestWrongValueOfAnyOptionIsOneLineThatNamesIt(t *testing.T) {
	t.Parallel()
	for _, o := range knownOptions(t) {
		for _, name := range o.names() {
			for _, value := range o.Wrong {
				_, err := parse("rabbit://u:s3cr3t@h/?" + name + "=" + value)
				if !errors.Is(err, transport.ErrInvalidURL) || strings.Count(err.Error(), name) != 1 || !strings.Contains(err.Error(), ": option "+name+": want ") ||
					strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%s=%s: error = %v, want one line that names the option", name, value, err)
				}
			}
		}
	}
}

// defaultsOtherwise are the options whose default is not oslo.messaging's. Users read of them in DESIGN.md.
var defaultsOtherwise = []string{"kombu_reconnect_delay", "rabbit_retry_backoff", "rabbit_retry_interval"}

func TestDefaultsAreOslosButForThoseThatAreDocumented(t *testing.T) {
	t.Parallel()
	design, err := os.ReadFile("../../DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range knownOptions(t) {
		if o.Default == "" {
			continue
		}
		diff := cmp.Diff(DefaultOptions(), mustParse(t, o.Name+"="+o.Default))
		if differs := slices.Contains(defaultsOtherwise, o.Name); differs != (diff != "") {
			t.Errorf("%s=%s is not the default, want that %t (-default +got):\n%s", o.Name, o.Default, differs, diff)
		} else if differs && !strings.Contains(string(design), "\n| `"+o.Name+"` | ") {
			t.Errorf("DESIGN.md does not say that the default of %s differs", o.Name)
		}
	}
}

func mustParse(tb testing.TB, query string) Options {
	tb.Helper()
	o, err := parse("rabbit://h/?" + query)
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return o
}
