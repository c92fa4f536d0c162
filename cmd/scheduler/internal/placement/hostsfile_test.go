package placement_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// entry is a hosts file's entry with a field replaced or, with an empty value, left out.
func entry(field, value string) string {
	fields := [][2]string{
		{"service_host", `"cmp-a"`},
		{"nodename", `"cmp-a.example"`},
		{"compute_node_uuid", `"aaaaaaaa-0000-4000-8000-000000000001"`},
		{"cell_uuid", `"cccccccc-0000-4000-8000-000000000001"`},
		{"availability_zone", `"az1"`},
		{"vcpus", "16"},
		{"memory_mb", "32768"},
		{"disk_gb", "500"},
	}
	var parts []string
	for _, f := range fields {
		if f[0] == field {
			f[1] = value
		}
		if f[1] != "" {
			parts = append(parts, `"`+f[0]+`": `+f[1])
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func TestParseHostsReadsEveryField(t *testing.T) {
	t.Parallel()
	want := []placement.Host{
		{
			Name: "cmp-a", Node: "cmp-a.example", Zone: "az1",
			NodeUUID: "aaaaaaaa-0000-4000-8000-000000000001", CellUUID: "cccccccc-0000-4000-8000-000000000001",
			Total: placement.Resources{VCPUs: 16, MemoryMB: 32768, DiskGB: 500},
		},
		{
			Name: "b", Node: "b",
			NodeUUID: "AAAAAAAA-0000-4000-8000-000000000002", CellUUID: "cccccccc-0000-4000-8000-000000000001",
		},
	}
	got, err := placement.ParseHosts(strings.NewReader(`[` + entry("", "") + `,
		{"service_host": "b", "compute_node_uuid": "AAAAAAAA-0000-4000-8000-000000000002", "unknown": [1],
		 "cell_uuid": "cccccccc-0000-4000-8000-000000000001", "vcpus": 0, "memory_mb": 0, "disk_gb": 0}]`))
	if err != nil {
		t.Fatalf("ParseHosts: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestParseHostsNamesEntryAndField(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" \n":                                  "empty",
		"[]":                                   "no host in it",
		"null":                                 "no host in it",
		"hosts":                                "not JSON: invalid character 'h' looking for beginning of value",
		"[] []":                                "not JSON: invalid character '[' after top-level value",
		`{"hosts":1}`:                          "want a list of hosts, got object",
		"[17]":                                 "entry 1: want an object, got number",
		"[null]":                               "entry 1: vcpus: missing",
		"[" + entry("service_host", "") + "]":  "entry 1: service_host: missing",
		"[" + entry("service_host", "7") + "]": "entry 1: service_host: want a string, got number",
		"[" + entry("vcpus", "-1") + "]":       `entry 1 ("cmp-a"): vcpus: want 0 to 1099511627776, got -1`,
		"[" + entry("vcpus", `"16"`) + "]":     `entry 1 ("cmp-a"): vcpus: want a whole number, got string`,
		"[" + entry("memory_mb", "1.5") + "]":  `entry 1 ("cmp-a"): memory_mb: want a whole number, got number 1.5`,
		"[" + entry("disk_gb", "") + "]":       `entry 1 ("cmp-a"): disk_gb: missing`,
		"[" + entry("compute_node_uuid", "") + "]":                       `entry 1 ("cmp-a"): compute_node_uuid: missing`,
		"[" + entry("cell_uuid", `"x\ny"`) + "]":                         `entry 1 ("cmp-a"): cell_uuid: want a UUID, got "x\ny"`,
		"[" + entry("", "") + "," + entry("", "") + "]":                  `entry 2 ("cmp-a"): service_host: "cmp-a" is in entry 1 too`,
		"[" + entry("", "") + "," + entry("service_host", `"b\n"`) + "]": `entry 2 ("b\n"): compute_node_uuid: "aaaaaaaa-0000-4000-8000-000000000001" is in entry 1 too`,
	} {
		hosts, err := placement.ParseHosts(strings.NewReader(text))
		if err == nil || err.Error() != want || hosts != nil {
			t.Errorf("ParseHosts(%.60s) = %v, %v, want %s", text, hosts, err, want)
		}
	}
}

func TestParseHostsReportsAReaderThatFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	if _, err := placement.ParseHosts(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("ParseHosts = %v, want %v", err, broken)
	}
}

func TestParseHostGivesNothingWithAnError(t *testing.T) {
	t.Parallel()
	got, err := placement.ParseHost([]byte(entry("vcpus", "null")))
	if err == nil || err.Error() != "vcpus: missing" || got != (placement.Host{}) {
		t.Errorf("ParseHost = %+v, %v, want vcpus: missing", got, err)
	}
	if got, err = placement.ParseHost([]byte(entry("", ""))); err != nil || got.Name != "cmp-a" {
		t.Errorf("ParseHost = %+v, %v, want cmp-a", got, err)
	}
}

func TestLoadHostsNamesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hosts.json")
	if _, err := placement.LoadHosts(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("LoadHosts of no file = %v, want its path and ErrNotExist", err)
	}
	must(t, os.WriteFile(path, []byte("["+entry("vcpus", "-1")+"]"), 0o600))
	want := "hosts file " + path + `: entry 1 ("cmp-a"): vcpus: want 0 to 1099511627776, got -1`
	if _, err := placement.LoadHosts(path); err == nil || err.Error() != want {
		t.Errorf("LoadHosts = %v, want %s", err, want)
	}
	must(t, os.WriteFile(path, []byte("["+entry("", "")+"]"), 0o600))
	if hosts, err := placement.LoadHosts(path); err != nil || len(hosts) != 1 {
		t.Errorf("LoadHosts = %v, %v, want one host", hosts, err)
	}
}

func FuzzParseHosts(f *testing.F) {
	for _, seed := range []string{"", "[]", "[null]", "[" + entry("", "") + "]", "[" + entry("vcpus", "1e3") + "]", `[{"vcpus": {}}]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hosts, err := placement.ParseHosts(strings.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		if _, err := placement.NewInventory(hosts); err != nil {
			t.Errorf("ParseHosts let a host through that NewInventory refuses: %v", err)
		}
	})
}
