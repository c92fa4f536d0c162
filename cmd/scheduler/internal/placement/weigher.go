package placement

// Weigher says how good a host is; the higher the better.
//
// The first weigher of a [Selector] decides and each later one only breaks the ties before it, so weights of
// different units are never added up. To mix them, write one weigher that does the arithmetic. Weigh must
// depend on the host and the request alone and must be safe for concurrent use. NaN counts as the worst.
type Weigher interface {
	Weigh(host *Host, req *Request) float64
}

// WeigherFunc is a function as a weigher.
type WeigherFunc func(host *Host, req *Request) float64

// Weigh calls the function.
func (f WeigherFunc) Weigh(host *Host, req *Request) float64 { return f(host, req) }

// DefaultWeighers returns a fresh slice with [RAMWeigher] alone.
func DefaultWeighers() []Weigher { return []Weigher{RAMWeigher{}} }

// RAMWeigher prefers the host with the most free memory, which spreads instances.
type RAMWeigher struct{}

// Weigh returns the free memory in MiB.
func (RAMWeigher) Weigh(host *Host, _ *Request) float64 { return float64(host.Free().MemoryMB) }
