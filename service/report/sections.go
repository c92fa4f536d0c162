package report

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

// Package is the section with the program's name and version.
func Package(name, version string) Section {
	return Section{"Package", func(w io.Writer) {
		fmt.Fprintf(w, "product = %s\nversion = %s\n", name, version)
	}}
}

// Process is the section with what this process is and how much of the machine it may use. Its arguments are not
// among it: they may hold passwords.
func Process() Section {
	return Section{"Process", func(w io.Writer) {
		host, err := os.Hostname()
		if err != nil {
			host = err.Error()
		}
		fmt.Fprintf(w, "time = %s\nhost = %s\npid = %d\nparent = %d\nuser = %d\n",
			time.Now().UTC().Format(time.RFC3339Nano), host, os.Getpid(), os.Getppid(), os.Getuid())
		fmt.Fprintf(w, "goroutines = %d\ncpus = %d\ngomaxprocs = %d\n",
			runtime.NumGoroutine(), runtime.NumCPU(), runtime.GOMAXPROCS(0))
	}}
}

// Goroutines is the section with the stack of every goroutine. The world stands still while it is taken.
func Goroutines() Section { return Section{"Goroutines", WriteGoroutines} }

// WriteGoroutines prints the stack of every goroutine, in the form of an unrecovered panic.
func WriteGoroutines(w io.Writer) {
	const withStacks = 2 // see the doc of pprof.Profile.WriteTo
	writeError(w, pprof.Lookup("goroutine").WriteTo(w, withStacks))
}

// Memory is the section with the size of the heap and the work of the garbage collector.
func Memory() Section { return Section{"Memory", WriteMemory} }

// WriteMemory prints the size of the heap, in bytes, and the work of the garbage collector.
func WriteMemory(w io.Writer) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "heap in use = %d\nheap objects = %d\nheap idle = %d\nheap released = %d\nstacks = %d\n",
		m.HeapInuse, m.HeapObjects, m.HeapIdle, m.HeapReleased, m.StackInuse)
	fmt.Fprintf(w, "from the system = %d\nallocated in all = %d\nallocations = %d\nfrees = %d\n",
		m.Sys, m.TotalAlloc, m.Mallocs, m.Frees)
	fmt.Fprintf(w, "next collection at = %d\nshare of CPU for collections = %.6f\n", m.NextGC, m.GCCPUFraction)

	// Five quantiles: least, quarter, median, three quarters, greatest.
	gc := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&gc)
	fmt.Fprintf(w, "collections = %d\npause in all = %s\npauses = %v\n", gc.NumGC, gc.PauseTotal, gc.PauseQuantiles)
	if gc.NumGC > 0 {
		fmt.Fprintf(w, "last collection = %s\n", gc.LastGC.UTC().Format(time.RFC3339Nano))
	}
}

// Build is the section with the Go version, the modules and the settings the program was built with.
func Build() Section {
	return Section{"Build", func(w io.Writer) {
		info, ok := debug.ReadBuildInfo()
		if !ok {
			fmt.Fprintf(w, "go\t%s\nthe program was built without module support\n", runtime.Version())
			return
		}
		fmt.Fprint(w, info)
	}}
}

// Configuration is the section with the service's options. What prints them must mask what is secret, as
// [WriteOptions] does.
func Configuration(write func(io.Writer)) Section { return Section{"Configuration", write} }

func writeError(w io.Writer, err error) {
	if err != nil {
		fmt.Fprintf(w, "error: %v\n", err)
	}
}
