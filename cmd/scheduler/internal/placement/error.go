package placement

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownHost is in the error of a report about a host that the inventory does not have. The report is
// dropped; nothing else is wrong.
var ErrUnknownHost = errors.New("unknown host")

// NoHostError says that an instance of a request found no host. Nothing of the request is placed then.
type NoHostError struct {
	Instance  int         // which instance, counted from 1
	Instances int         // of how many
	Rejected  []Rejection // which filters rejected hosts, in their order; empty where no host is known
}

// Rejection is how many hosts a filter rejected.
type Rejection struct {
	Filter string
	Hosts  int
}

// Error names the instance and what each filter rejected.
func (e *NoHostError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no host for instance %d of %d", e.Instance, e.Instances)
	if len(e.Rejected) == 0 {
		b.WriteString(": no host is known")
	}
	for i, r := range e.Rejected {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s rejected %d", sep, r.Filter, r.Hosts)
	}
	return b.String()
}
