// Package pyjson is JSON in Python's dialect, on bytes: what Python's json module writes and what it reads.
//
// It writes ASCII only, floats with their mark (1.0, 1e-07) and NaN, Infinity and -Infinity as bare words.
// It reads those words too, checks everything else as strictly as Python does, and keeps numbers as text,
// so that an integer of any size survives. Nothing here allocates more than its result.
package pyjson
