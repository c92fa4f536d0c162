package dispatcher

import "fmt"

// maxNameLength is how many bytes the name of a method may have.
const maxNameLength = 128

// NameError tells that an endpoint method cannot have that name on the bus.
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("method name %.256q: want a letter or an underscore, then letters, digits and underscores of ASCII, %d in all at most",
		e.Name, maxNameLength)
}

// CheckName returns a [*NameError] for what cannot be the name of an endpoint method: it must match
// ^[A-Za-z_][A-Za-z0-9_]{0,127}$, as those of OpenStack's services do. No endpoint has other methods, so that a request for
// one is answered with a [*NoSuchMethodError]. Python's own rule is wider: whatever is an attribute of an endpoint can be
// asked for, of any length and with other letters.
func CheckName(name string) error {
	if name == "" || len(name) > maxNameLength || isDigit(name[0]) {
		return &NameError{Name: name}
	}
	for i := range len(name) {
		if c := name[i]; !isDigit(c) && !isLetter(c) {
			return &NameError{Name: name}
		}
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }
