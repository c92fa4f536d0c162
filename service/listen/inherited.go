package listen

import (
	"errors"
	"os"
	"slices"
	"sync"
)

// Named is the socket of a listener for a worker.
type Named struct {
	Name string
	// File is the listener's own, for ExtraFiles of [os/exec.Cmd]. It must not be closed.
	File *os.File
}

// Inherited gives the sockets of all open listeners in the order in which they were made: what a parent hands to its
// workers, and from whose files each worker's [TCP] and [Unix] of the same names take theirs.
func Inherited() []Named {
	var named []Named
	for _, l := range all.list() {
		l.mu.Lock()
		if l.file != nil {
			named = append(named, Named{Name: l.name, File: l.file})
		}
		l.mu.Unlock()
	}
	return named
}

// registry holds a process's listeners; names are unique among those that are open.
type registry struct {
	mu        sync.Mutex
	listeners []*Listener
}

var all registry

func (r *registry) add(l *Listener) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.listeners, func(other *Listener) bool { return other.name == l.name }) {
		return errors.New("there is an open listener of this name already")
	}
	r.listeners = append(r.listeners, l)
	return nil
}

func (r *registry) drop(l *Listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = slices.DeleteFunc(r.listeners, func(other *Listener) bool { return other == l })
}

func (r *registry) list() []*Listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.listeners)
}
