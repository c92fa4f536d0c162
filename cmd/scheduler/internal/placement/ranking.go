package placement

import (
	"container/heap"
	"math"
)

// ranking is the working state of one selection: the hosts that pass, as a heap with the best on top.
//
// The heap holds indexes, not hosts: a selection then leaves little for the garbage collector to follow,
// which was half its time.
type ranking struct {
	selector *Selector
	req      *Request
	hosts    []*Host   // those that passed
	weights  []float64 // of hosts, one for each weigher
	chosen   []bool    // of hosts: an instance of the request is on it
	heap     []int32   // indexes of hosts
	rejected []int     // hosts rejected, by filter

	// spare are hosts without an instance of the request, taken off the heap for alternates, best first.
	spare  []*Host
	byCell map[string][]*Host // alternates found already
}

// rank filters and weighs hosts.
func (s *Selector) rank(hosts []*Host, req *Request) *ranking {
	r := &ranking{selector: s, req: req, rejected: make([]int, len(s.filters))}
	r.hosts = make([]*Host, 0, len(hosts))
	for _, host := range hosts {
		if r.passes(host) {
			r.hosts = append(r.hosts, host)
		}
	}
	r.weights = make([]float64, len(r.hosts)*len(s.weighers))
	r.chosen = make([]bool, len(r.hosts))
	r.heap = make([]int32, len(r.hosts))
	for i := range r.hosts {
		r.heap[i] = int32(i)
		r.weigh(i)
	}
	heap.Init(r)
	return r
}

// passes asks the filters and counts the rejection.
func (r *ranking) passes(host *Host) bool {
	by := r.selector.rejectedBy(host, r.req)
	if by >= 0 {
		r.rejected[by]++
	}
	return by < 0
}

// weigh asks the weighers about the i-th host.
func (r *ranking) weigh(i int) {
	weights := r.weightsOf(i)
	for k, w := range r.selector.weighers {
		weights[k] = w.Weigh(r.hosts[i], r.req)
		if math.IsNaN(weights[k]) { // no order holds with it
			weights[k] = math.Inf(-1)
		}
	}
}

func (r *ranking) weightsOf(i int) []float64 {
	n := len(r.selector.weighers)
	return r.weights[i*n : (i+1)*n]
}

// take returns the best host and leaves it in the ranking with one more instance on it, if it still passes;
// nil if none is left.
func (r *ranking) take() *Host {
	if len(r.heap) == 0 {
		return nil
	}
	best := int(r.heap[0])
	host := r.hosts[best]
	after := *host // the snapshot belongs to everyone
	after.Used = after.Used.Add(r.req.Need)
	r.hosts[best], r.chosen[best] = &after, true
	if r.passes(&after) {
		r.weigh(best)
		heap.Fix(r, 0)
	} else {
		heap.Pop(r)
	}
	return host
}

// alternates returns the best hosts of a cell that got no instance of the request, as nova does: a host that
// was just given work is the likeliest to refuse more, and a failed build is retried inside its cell
// (nova/scheduler/manager.py, _get_alternate_hosts). Call it when all instances are placed.
func (r *ranking) alternates(cell string) []*Host {
	if found, ok := r.byCell[cell]; ok {
		return found
	}
	var found []*Host
	for i := 0; len(found) < r.req.Alternates; i++ {
		if i == len(r.spare) && !r.nextSpare() {
			break
		}
		if r.spare[i].CellUUID == cell {
			found = append(found, r.spare[i])
		}
	}
	if r.byCell == nil {
		r.byCell = make(map[string][]*Host)
	}
	r.byCell[cell] = found
	return found
}

// nextSpare takes hosts off the heap until one without an instance of the request is found.
func (r *ranking) nextSpare() bool {
	for len(r.heap) > 0 {
		best := r.heap[0]
		heap.Pop(r)
		if !r.chosen[best] {
			r.spare = append(r.spare, r.hosts[best])
			return true
		}
	}
	return false
}

func (r *ranking) rejections() []Rejection {
	var out []Rejection
	for i, n := range r.rejected {
		if n > 0 {
			out = append(out, Rejection{Filter: r.selector.filters[i].Name(), Hosts: n})
		}
	}
	return out
}

// Len is part of heap.Interface, as are the methods below.
func (r *ranking) Len() int { return len(r.heap) }

// Swap swaps two places of the heap.
func (r *ranking) Swap(i, j int) { r.heap[i], r.heap[j] = r.heap[j], r.heap[i] }

// Less reports whether the host at place i is the better one.
func (r *ranking) Less(i, j int) bool {
	a, b := int(r.heap[i]), int(r.heap[j])
	others := r.weightsOf(b)
	for k, weight := range r.weightsOf(a) {
		if weight != others[k] {
			return weight > others[k]
		}
	}
	return r.hosts[a].Name < r.hosts[b].Name
}

// Push is never called: hosts only leave a ranking.
func (r *ranking) Push(any) {}

// Pop drops the last place; its caller has looked at the host before.
func (r *ranking) Pop() any {
	r.heap = r.heap[:len(r.heap)-1]
	return nil
}
