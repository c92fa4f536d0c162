package service

import (
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goslo/goslo/service/internal/identity"
)

func TestWorkerEnvironment(t *testing.T) {
	// Not parallel: the limit is the process's.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(8 << 30))
	share := func(n int) string { return "GOMAXPROCS=" + strconv.Itoa(max(1, runtime.GOMAXPROCS(0)/n)) }
	for _, test := range []struct {
		name    string
		env     []string
		conf    Config
		workers int
		want    []string
	}{
		{"a share of the processors", []string{"A=1"}, Config{}, 2, []string{"A=1", share(2)}},
		{"at least one processor", nil, Config{}, 1000, []string{"GOMAXPROCS=1"}},
		{"all of them for one worker alone", []string{"A=1"}, Config{}, 1, []string{"A=1"}},
		{"of all pools", nil, Config{TotalWorkers: 2}, 1, []string{share(2)}},
		{"the operator's processors", []string{"GOMAXPROCS=3"}, Config{WorkerGOMAXPROCS: 5}, 2, []string{"GOMAXPROCS=3"}},
		{"the option's processors", nil, Config{WorkerGOMAXPROCS: 5}, 1, []string{"GOMAXPROCS=5"}},
		{"a share of the memory", []string{"GOMEMLIMIT=8GiB"}, Config{}, 4, []string{"GOMEMLIMIT=2147483648", share(4)}},
		{
			"nothing that is the parent's alone",
			[]string{
				"NOTIFY_SOCKET=/run/x", "LISTEN_PID=1", "LISTEN_PIDFDID=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=a:b", "WATCHDOG_USEC=1",
				"WATCHDOG_PID=1", "GOSLO_WORKER={}", "LISTEN_ADDRESS=stays",
			},
			Config{},
			1,
			[]string{"LISTEN_ADDRESS=stays"},
		},
	} {
		got := workerEnvironment(test.env, identity.Identity{Pool: "p"}, test.conf, test.workers)
		last := len(got) - 1
		if !strings.HasPrefix(got[last], identity.Variable+"={") {
			t.Errorf("%s: the last entry is %q, want the identity", test.name, got[last])
		}
		if !slices.Equal(got[:last], test.want) {
			t.Errorf("%s: the environment is %q, want %q", test.name, got[:last], test.want)
		}
	}
}

func TestWorkerEnvironmentLeavesAMemoryLimitThatIsOff(t *testing.T) {
	t.Parallel()
	if got := shareOfMemory("GOMEMLIMIT=off", 4); debug.SetMemoryLimit(-1) == 1<<63-1 && got != "GOMEMLIMIT=off" {
		t.Errorf("the entry is %q, want it as it is", got)
	}
}
