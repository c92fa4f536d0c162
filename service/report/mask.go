package report

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// masked stands for what must not be read, as in oslo.config's log_opt_values.
const masked = "****"

// secretNames are parts of names of options whose values are secret. The first two are those of Karbor's and
// nova's own dump of options.
var secretNames = []string{"_password", "_key", "password", "secret", "token"}

// harmlessNames end names of options that look secret and name files.
var harmlessNames = []string{"_file", "_path", "_dir"}

// credentials reach from the :// of a URL to the last @ of the same word. That may hide more than the user and the
// password, as all hosts but the last of a transport URL, but no password with a stray / or comma gets through.
var credentials = regexp.MustCompile(`://\S*@`)

// Mask returns the value of an option as it may be shown: **** for an option whose name says that it is secret
// (with "password", "_key", "secret" or "token" in it, unless it names a file), and otherwise the value with the
// user and password of the URLs in it replaced.
func Mask(name, value string) string {
	if value == "" {
		return value
	}
	if isSecret(strings.ToLower(name)) {
		return masked
	}
	return credentials.ReplaceAllString(value, "://"+masked+"@")
}

func isSecret(name string) bool {
	for _, end := range harmlessNames {
		if strings.HasSuffix(name, end) {
			return false
		}
	}
	return slices.ContainsFunc(secretNames, func(part string) bool { return strings.Contains(name, part) })
}

// WriteOptions prints options, masked by [Mask], one a line and sorted by name.
func WriteOptions(w io.Writer, options map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		fmt.Fprintf(w, "%s = %s\n", name, Mask(name, options[name]))
	}
}
