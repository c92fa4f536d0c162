package target

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultVersion is the version of an interface that names none, on both sides.
const DefaultVersion = "1.0"

// MalformedVersionError is the answer to a version that cannot be compared.
type MalformedVersionError struct {
	Version string
	// Missing tells that the minor number is absent; otherwise a part is not a decimal number.
	Missing bool
}

func (e *MalformedVersionError) Error() string {
	if e.Missing {
		return fmt.Sprintf("version %.256q has no minor number", e.Version)
	}
	return fmt.Sprintf("version %.256q is not made of decimal numbers", e.Version)
}

// Compatible reports whether an implementation of version implemented serves a request for version
// requested: the major numbers are equal, the requested minor is not larger, and, where the minors are
// equal, the requested revision is not larger. A missing revision is 0, a fourth part is ignored.
//
// It fails with [*MalformedVersionError] where oslo.messaging raises (a missing minor, a part that is no
// number); like there, the revision is only looked at when the minors are equal
// (oslo_messaging/_utils.py, version_is_compatible).
func Compatible(implemented, requested string) (bool, error) {
	for i := range 3 {
		want, err := part(requested, i)
		if err != nil {
			return false, err
		}
		have, err := part(implemented, i)
		if err != nil {
			return false, err
		}
		if have != want {
			return i > 0 && want < have, nil
		}
	}
	return true, nil
}

// part reads part i of a version: 0 is the major number, 1 the minor, 2 the revision, 0 if missing.
func part(version string, i int) (int, error) {
	rest := version
	for range i {
		_, after, found := strings.Cut(rest, ".")
		if !found && i < 2 {
			return 0, &MalformedVersionError{Version: version, Missing: true}
		}
		rest = after
	}
	if i == 2 && strings.Count(version, ".") < 2 {
		return 0, nil
	}
	digits, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(strings.TrimSpace(digits)) // Python's int() passes blanks around the digits too
	if err != nil {
		return 0, &MalformedVersionError{Version: version}
	}
	return n, nil
}
