package service

import (
	"io"
	"runtime/pprof"
)

// writeGoroutines prints the stack of every goroutine, in the form of an unrecovered panic.
func writeGoroutines(w io.Writer) {
	const everyStack = 2
	_ = pprof.Lookup("goroutine").WriteTo(w, everyStack)
}
