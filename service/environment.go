package service

import (
	"math"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/goslo/goslo/service/internal/identity"
)

// workerEnvironment is the environment of a worker: the parent's, without what systemd meant for the parent alone, with the
// worker's identity, and with its share of processors and memory.
func workerEnvironment(env []string, id identity.Identity, conf Config, workers int) []string {
	if conf.TotalWorkers > 0 {
		workers = conf.TotalWorkers
	}
	out := make([]string, 0, len(env)+3)
	operatorsMaxProcs := false
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case identity.IsServiceManagers(name), name == identity.Variable:
			continue
		case name == "GOMAXPROCS":
			operatorsMaxProcs = value != ""
		case name == "GOMEMLIMIT":
			entry = shareOfMemory(entry, workers)
		}
		out = append(out, entry)
	}
	if !operatorsMaxProcs {
		out = appendMaxProcs(out, conf, workers)
	}
	return append(out, id.Encode())
}

// appendMaxProcs gives a worker its share of the processors. One worker alone gets no figure, which would keep its runtime
// from following the limits of its control group.
func appendMaxProcs(env []string, conf Config, workers int) []string {
	n := conf.WorkerGOMAXPROCS
	if n == 0 && workers > 1 {
		n = max(1, runtime.GOMAXPROCS(0)/workers)
	}
	if n == 0 {
		return env
	}
	return append(env, "GOMAXPROCS="+strconv.Itoa(n))
}

// shareOfMemory divides the limit that the operator gave. The runtime has read it already, with its units.
func shareOfMemory(entry string, workers int) string {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return entry // off
	}
	return "GOMEMLIMIT=" + strconv.FormatInt(limit/int64(workers), 10)
}
