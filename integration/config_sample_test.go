//go:build integration

package integration_test

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/logging"
	"github.com/goslo/goslo/messaging"
)

// sampled is what a sample file says of one option.
type sampled struct {
	kind, value string
	former      []string
}

var (
	sampleValue  = regexp.MustCompile(`^#([a-z_]+) =(.*)$`)
	sampleKind   = regexp.MustCompile(`\((\w[\w ]* value|multi valued)\)`)
	sampleFormer = regexp.MustCompile(`^# Deprecated group/name - \[(\w+)\]/(\w+)$`)
)

// readSample reads a sample file of either generator, by [group] name.
func readSample(text string) map[string]sampled {
	all := make(map[string]sampled)
	var (
		group string
		about []string // the comment before an option
	)
	for line := range strings.SplitSeq(text, "\n") {
		value := sampleValue.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "["):
			group = line
		case line == "":
			about = nil
		case value == nil:
			about = append(about, line)
		default:
			all[group+" "+value[1]] = sampleOf(about, strings.TrimSpace(value[2]))
		}
	}
	return all
}

func sampleOf(about []string, value string) sampled {
	s := sampled{value: value}
	for _, line := range about {
		if m := sampleFormer.FindStringSubmatch(line); m != nil {
			s.former = append(s.former, "["+m[1]+"] "+m[2])
		}
	}
	if m := sampleKind.FindAllStringSubmatch(strings.ReplaceAll(strings.Join(about, "\n"), "\n# ", " "), -1); m != nil {
		s.kind = m[len(m)-1][1]
	}
	return s
}

// otherwise are the options whose sample differs from that of a release of oslo.messaging and oslo.log, and why.
var otherwise = map[string]string{
	"[DEFAULT] default_log_levels":                              "the libraries of its default are Python's, and debug shows the bus here",
	"[DEFAULT] logging_debug_format_suffix":                     "a line's place is looked for where an operator asks for it",
	"[oslo_messaging_rabbit] rabbit_retry_interval":             "half a second",
	"[oslo_messaging_rabbit] rabbit_retry_backoff":              "doubles",
	"[oslo_messaging_rabbit] kombu_reconnect_delay":             "pauses are random already",
	"[oslo_messaging_rabbit] hostname":                          "oslo.messaging shows an example",
	"[oslo_messaging_rabbit] processname":                       "oslo.messaging shows an example",
	"[oslo_messaging_rabbit] heartbeat_rate":                    "2 in 14.0, 3 since; without effect here",
	"[oslo_messaging_rabbit] ssl_enforce_hostname_verification": "true from 18.1 on",
}

// oslosSample is the sample of oslo.config's own generator.
func oslosSample(t *testing.T, py *python) map[string]sampled {
	t.Helper()
	cmd, err := py.start(t.Context(), "-m", "oslo_config.generator", "--namespace", "oslo.messaging", "--namespace", "oslo.log")
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.end()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	all := readSample(string(out))
	maps.DeleteFunc(all, func(name string, _ sampled) bool { // of other drivers, and of what goslo does not have
		return !strings.HasPrefix(name, "[DEFAULT] ") && !strings.HasPrefix(name, "[oslo_messaging_rabbit] ")
	})
	return all
}

// TestSampleHasOslosOptionsWithTheirTypesAndDefaults holds goslo's sample against that of oslo.messaging and oslo.log: each option
// is there, with its type, default and former names, but for what is listed with a reason.
func TestSampleHasOslosOptionsWithTheirTypesAndDefaults(t *testing.T) {
	t.Parallel()
	c := config.New("test")
	if err := logging.Register(c); err != nil {
		t.Fatal(err)
	}
	if err := c.Register(messaging.ConfigOptions()...); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := c.Sample(&text); err != nil {
		t.Fatal(err)
	}
	ours := readSample(text.String())
	under := make(map[string]string) // any name -> the present one
	for name, s := range ours {
		under[name] = name
		for _, former := range s.former {
			under[former] = name
		}
	}
	withEachPython(t, func(t *testing.T, py *python) {
		t.Helper()
		theirs := oslosSample(t, py)
		if len(theirs) < 60 {
			t.Fatalf("%d options in oslo's sample: %v", len(theirs), slices.Sorted(maps.Keys(theirs)))
		}
		differ := 0
		for _, name := range slices.Sorted(maps.Keys(theirs)) {
			want := theirs[name]
			got, known := ours[under[name]]
			if !known {
				t.Errorf("%s is not in goslo's sample", name)
				continue
			}
			for _, former := range want.former {
				if under[former] != under[name] {
					t.Errorf("%s is not read as %s", former, name)
				}
			}
			if got.kind == want.kind && got.value == want.value {
				continue
			}
			differ++
			if otherwise[under[name]] == "" {
				t.Errorf("%s = %s (%s), want %s (%s)", name, got.value, got.kind, want.value, want.kind)
			}
		}
		t.Logf("%d options, %d of them otherwise", len(theirs), differ)
	})
}
