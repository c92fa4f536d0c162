package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo/service/wsgi"
)

// unset stands for an option without a default.
const unset = "<None>"

// The options of oslo.service (its options tables and wsgi's), of [ssl] and of Karbor's and nova's service.py, with their
// defaults.
var serviceTable = []struct{ group, name, value string }{
	{"DEFAULT", "log_options", "true"},
	{"DEFAULT", "graceful_shutdown_timeout", "60"},
	{"DEFAULT", "run_external_periodic_tasks", "true"},
	{"DEFAULT", "backdoor_port", unset},
	{"DEFAULT", "backdoor_socket", unset},
	{"DEFAULT", "api_paste_config", "api-paste.ini"},
	{"DEFAULT", "wsgi_log_format", wsgi.DefaultLogFormat},
	{"DEFAULT", "tcp_keepidle", "600"},
	{"DEFAULT", "wsgi_default_pool_size", "100"},
	{"DEFAULT", "max_header_line", "16384"},
	{"DEFAULT", "wsgi_keep_alive", "true"},
	{"DEFAULT", "client_socket_timeout", "900"},
	{"DEFAULT", "wsgi_server_debug", "false"},
	{"ssl", "ca_file", unset},
	{"ssl", "cert_file", unset},
	{"ssl", "key_file", unset},
	{"ssl", "version", unset},
	{"ssl", "ciphers", unset},
	{"DEFAULT", "report_interval", "10"},
	{"DEFAULT", "periodic_interval", "60"},
	{"DEFAULT", "periodic_fuzzy_delay", "60"},
	{"DEFAULT", "service_down_time", "60"},
}

// sampled are the defaults in a sample, by group and name.
func sampled(t *testing.T, sample string) map[[2]string]string {
	t.Helper()
	defaults := make(map[[2]string]string)
	group := ""
	for line := range strings.Lines(sample) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "[") {
			group = strings.Trim(line, "[]")
			continue
		}
		name, value, found := strings.Cut(strings.TrimPrefix(line, "#"), " =")
		if found && strings.HasPrefix(line, "#") && !strings.Contains(name, " ") {
			defaults[[2]string{group, name}] = strings.TrimPrefix(value, " ")
		}
	}
	return defaults
}

func TestTheOptionsOfServicesHaveTheirNamesAndDefaults(t *testing.T) {
	t.Parallel()
	status, sample, stderr := command(t, nil, "config", "sample")
	if status != 0 {
		t.Fatalf("config sample = %d, %q", status, stderr)
	}
	defaults := sampled(t, sample)
	for _, o := range serviceTable {
		got, known := defaults[[2]string{o.group, o.name}]
		if !known || got != o.value {
			t.Errorf("[%s] %s = %q (known: %t), want %q", o.group, o.name, got, known, o.value)
		}
	}
}

// What a nova.conf has for services is known to each command, and none of it is worth a warning.
func TestAFileWithAllOptionsOfServicesIsReadWithoutAWarning(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("[DEFAULT]\ntransport_url = memory://all-options\n")
	group := "DEFAULT"
	for _, o := range serviceTable {
		if o.group != group {
			group = o.group
			text.WriteString("[" + group + "]\n")
		}
		value := o.value
		if value == unset {
			value = ""
		}
		text.WriteString(o.name + " = " + value + "\n")
	}
	file := filepath.Join(t.TempDir(), "nova.conf")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"serve", "agent", "all"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			args := []string{command, "--config-file", file, "--host", "h-" + command}
			if command == "all" {
				args = append(args, "--listen", "127.0.0.1:0")
			}
			d := startRun(t, args...)
			for line := range strings.Lines(d.stderr.String()) {
				if strings.Contains(line, " WARNING ") || strings.Contains(line, " ERROR ") {
					t.Errorf("a warning: %s", line)
				}
			}
		})
	}
}

// loaded are settings with a file's options.
func loaded(t *testing.T, file string) *settings {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.conf")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := newSettings(io.Discard, allOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Parse([]string{"--config-file", path}); err != nil {
		t.Fatal(err)
	}
	logs, err := s.load("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logs.Close() })
	return s
}

// The effects of the others are seen from outside, in the tests of the front and of the backdoor.
func TestOptionsThatNobodySeesReachWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	s := loaded(t, "[DEFAULT]\nwsgi_server_debug = true\nservice_down_time = 7\nperiodic_interval = 8\nperiodic_fuzzy_delay = 0\n"+
		"graceful_shutdown_timeout = 9\nrestart_method = mutate\n")
	if !s.wsgi().Debug {
		t.Error("wsgi_server_debug does not reach the server")
	}
	svc := s.service()
	if svc.ServiceDownTime.Seconds() != 7 || svc.PeriodicInterval.Seconds() != 8 || svc.PeriodicFuzzyDelay >= 0 {
		t.Errorf("the service gets %+v", svc)
	}
	conf, err := s.launchConfig(io.Discard, nil)
	if err != nil || conf.GracefulShutdownTimeout.Seconds() != 9 || conf.RestartMethod != "mutate" {
		t.Errorf("the launcher gets %+v, %v", conf, err)
	}
}
