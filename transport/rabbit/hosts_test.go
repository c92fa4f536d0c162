package rabbit

import (
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/goslo/goslo/transport"
)

// named makes hosts a, b and so on, in this order.
func named(n int, strategy string) *hosts {
	h := newHosts(make([]transport.Host, n), strategy)
	for i := range h.all {
		h.all[i].Name = string(rune('a' + i))
	}
	return h
}

func (s *search) names(n int) string {
	var names strings.Builder
	for range n {
		names.WriteString(s.next().Name)
	}
	return names.String()
}

// until goes on to a host.
func (s *search) until(name string) {
	for found := ""; found != name; {
		found = s.next().Name
	}
}

func TestRoundRobinComesByEveryHostInTurn(t *testing.T) {
	t.Parallel()
	s := named(3, roundRobin).search()
	if got := s.names(9); got != "abcabcabc" {
		t.Errorf("hosts %s, want abc again and again", got)
	}
	if got := named(1, roundRobin).search().names(3); got != "aaa" {
		t.Errorf("hosts %s, want the only one", got)
	}
}

func TestShuffleComesByEveryHostOfARoundInAnyOrder(t *testing.T) {
	t.Parallel()
	s := named(4, shuffle).search()
	orders := map[string]bool{}
	for range 200 {
		round := s.names(4)
		sorted := []byte(round)
		slices.Sort(sorted)
		if string(sorted) != "abcd" {
			t.Fatalf("round %s, want every host once", round)
		}
		if !s.roundEnded() {
			t.Fatal("the round has not ended after all hosts")
		}
		orders[round] = true
	}
	if len(orders) < 12 { // of 24
		t.Errorf("%d different orders in 200 rounds", len(orders))
	}
}

func TestLastGoodHostComesFirstForBothLinks(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{roundRobin, shuffle} {
		h := named(4, strategy)
		publisher, consumer := h.search(), h.search()
		publisher.until("c")
		publisher.found()
		if publisher.roundEnded() {
			t.Error("the round goes on though a host answered")
		}
		for what, s := range map[string]*search{"the link that found it": publisher, "the other link": consumer} {
			round := s.names(4)
			if round[0] != 'c' || strings.Count(round, "c") != 1 || !s.roundEnded() {
				t.Errorf("%s, %s: round %s, want c first and once", strategy, what, round)
			}
			if again := s.names(1); again != "c" {
				t.Errorf("%s, %s: the next round begins with %s, want c", strategy, what, again)
			}
		}
	}
}

func TestHostFoundByTheOtherLinkIsNextAmidARound(t *testing.T) {
	t.Parallel()
	h := named(4, roundRobin)
	publisher, consumer := h.search(), h.search()
	consumer.next() // a does not answer
	publisher.names(3)
	publisher.found() // c does
	if got := consumer.names(3); got != "cbd" && got != "cdb" {
		t.Errorf("after a come %s, want c first", got)
	}
}

func TestHostThatIsOfNoUseComesLast(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{roundRobin, shuffle} {
		h := named(3, strategy)
		s := h.search()
		s.until("b")
		s.found()
		s.avoid()
		if round := s.names(2); strings.Contains(round, "b") {
			t.Errorf("%s: after b come %s, want the others", strategy, round)
		}
	}
	h := named(2, roundRobin)
	s, other := h.search(), h.search()
	s.next()
	s.found() // a
	other.names(2)
	other.found() // b
	s.avoid()
	if next := h.search().next().Name; next != "b" {
		t.Errorf("next is %s, want b, which answered last", next)
	}
	one := named(1, roundRobin).search()
	one.next()
	one.found()
	one.avoid()
	if got := one.next().Name; got != "a" {
		t.Errorf("next is %q, want the only host", got)
	}
}

// hangUp accepts connections, counts them and closes them at once.
func hangUp(tb testing.TB) (address string, accepted *atomic.Int32) {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	accepted = new(atomic.Int32)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			socket, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = socket.Close()
		}
	})
	tb.Cleanup(func() { _ = l.Close(); accepting.Wait() })
	return l.Addr().String(), accepted
}

func TestPingFailsWhenEveryHostHasFailed(t *testing.T) {
	t.Parallel()
	var addresses []string
	var counts []*atomic.Int32
	for range 5 {
		address, accepted := hangUp(t)
		addresses, counts = append(addresses, address), append(counts, accepted)
	}
	d, _ := open(t, "rabbit://"+strings.Join(addresses, ",")+"/")
	wantError(t, "Ping", d.Ping(t.Context()), transport.ErrNotConnected)
	for i, accepted := range counts {
		if accepted.Load() == 0 {
			t.Errorf("host %d was not tried", i)
		}
	}
}
