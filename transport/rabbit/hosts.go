package rabbit

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/goslo/goslo/transport"
)

// hosts are the brokers of a driver. Both links share them: where one has found a broker that answers, the other looks
// first. It is safe for concurrent use.
type hosts struct {
	all     []transport.Host
	shuffle bool // the next one is any; else the next in the list

	mu       sync.Mutex    // protects what follows
	good     int           // index of the host that answered last; -1 where none did
	answered chan struct{} // closed and renewed when one does
}

// hostsOf are the hosts of a URL with the port that its scheme stands for.
func hostsOf(u *transport.URL) []transport.Host {
	all := slices.Clone(u.Hosts)
	if len(all) == 0 {
		all = []transport.Host{{}}
	}
	for i := range all {
		if u.Driver == schemeTLS && all[i].Port == 0 {
			all[i].Port = defaultPortTLS
		}
	}
	return all
}

// newHosts takes over a list of hosts. It is shuffled once, which spreads the drivers of many processes over the
// hosts; oslo.messaging does so once for each connection.
func newHosts(all []transport.Host, strategy string) *hosts {
	h := &hosts{all: all, shuffle: strategy == shuffle, good: -1, answered: make(chan struct{})}
	rand.Shuffle(len(h.all), func(i, j int) { h.all[i], h.all[j] = h.all[j], h.all[i] })
	return h
}

// several tells whether there is another host to go to.
func (h *hosts) several() bool { return len(h.all) > 1 }

// answers returns what is closed when the next host answers either link.
func (h *hosts) answers() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered
}

// search is one link's way through the hosts, in rounds: each round comes by every host once. It is for one goroutine.
type search struct {
	hosts   *hosts
	current int
	tried   []bool // in this round, by index
}

func (h *hosts) search() *search {
	return &search{hosts: h, current: -1, tried: make([]bool, len(h.all))}
}

// next is the host to try now: the one that answered last, else one that was not tried in this round.
func (s *search) next() transport.Host {
	if s.roundEnded() {
		clear(s.tried)
	}
	s.hosts.mu.Lock()
	good := s.hosts.good
	s.hosts.mu.Unlock()
	if good < 0 || s.tried[good] {
		good = s.another()
	}
	s.current = good
	s.tried[good] = true
	return s.hosts.all[good]
}

// another picks a host that was not tried in this round.
func (s *search) another() int {
	var left []int
	for i := range s.tried {
		if i = (s.current + 1 + i) % len(s.tried); !s.tried[i] {
			left = append(left, i)
		}
	}
	if s.hosts.shuffle {
		return left[rand.IntN(len(left))]
	}
	return left[0]
}

// roundEnded reports whether all hosts were tried.
func (s *search) roundEnded() bool { return !slices.Contains(s.tried, false) }

// found notes that the current host answered, and ends the round.
func (s *search) found() {
	s.hosts.mu.Lock()
	s.hosts.good = s.current
	close(s.hosts.answered)
	s.hosts.answered = make(chan struct{})
	s.hosts.mu.Unlock()
	clear(s.tried)
}

// avoid notes that the current host is of no use although it answered: another one comes next.
func (s *search) avoid() {
	s.hosts.mu.Lock()
	if s.hosts.good == s.current {
		s.hosts.good = -1
	}
	s.hosts.mu.Unlock()
	s.tried[s.current] = true
}
