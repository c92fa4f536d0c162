package report

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// State holds the parts of a service that can print their state: RPC servers, pools, caches. The zero value is
// ready; it is safe for concurrent use.
type State struct {
	mu    sync.Mutex
	parts []*part
}

type part struct {
	name  string
	write func(io.Writer)
}

// Register adds a part, which is printed behind those registered before; names may repeat. What write prints is
// seen by whoever may read the report, so it must hold no secret. It may be called at any time and by several
// goroutines at once.
//
// The function it returns takes the part out again; it is harmless twice. A call of write may still be under way
// when it returns.
func (s *State) Register(name string, write func(w io.Writer)) (unregister func()) {
	p := &part{name, write}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, p)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parts = slices.DeleteFunc(s.parts, func(other *part) bool { return other == p })
	}
}

// Write prints every part under its name. A panic of a part becomes a line. A nil State prints nothing.
func (s *State) Write(w io.Writer) {
	for _, p := range s.snapshot() {
		fmt.Fprintf(w, "-- %s --\n", p.name)
		body(w, p.write)
		fmt.Fprintln(w)
	}
}

// Section is the section of a report that Write prints.
func (s *State) Section() Section { return Section{"State", s.Write} }

// snapshot lets parts print without the lock: one that hangs must not keep others from registering.
func (s *State) snapshot() []*part {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.parts)
}
