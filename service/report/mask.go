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
var secretNames = []string{"password", "_key", "passwd", "passphrase", "pswd", "secret", "token"}

// secretEnds are ends of such names: in the middle they mean something else, as passthrough.
var secretEnds = []string{"_pass", "_pw"}

// harmlessNames end names of options that look secret and name files.
var harmlessNames = []string{"_file", "_path", "_dir"}

// credentials reach from the :// of a URL to the last @ of the same word. That may hide more than the user and the
// password, as all hosts but the last of a transport URL, but no password with a stray / or comma gets through.
var credentials = regexp.MustCompile(`://\S*@`)

// secretParameters are those of a URL's query, as in redis://host/0?password=x.
var secretParameters = regexp.MustCompile(`(?i)([?&][^=&\s]*(?:password|passwd|passphrase|secret|token)=)[^&\s]*`)

// Mask returns the value of an option as it may be shown: **** for an option whose name says that it is secret (with
// "password", "passwd", "passphrase", "pswd", "_key", "secret" or "token" in it, or "_pass" or "_pw" at its end, unless
// it names a file), and otherwise the value with the user and password of the URLs in it replaced, and the passwords,
// secrets and tokens of their queries.
func Mask(name, value string) string {
	if value == "" {
		return value
	}
	if isSecret(strings.ToLower(name)) {
		return masked
	}
	value = credentials.ReplaceAllString(value, "://"+masked+"@")
	return secretParameters.ReplaceAllString(value, "${1}"+masked)
}

func isSecret(name string) bool {
	endsWith := func(end string) bool { return strings.HasSuffix(name, end) }
	contains := func(part string) bool { return strings.Contains(name, part) }
	if slices.ContainsFunc(harmlessNames, endsWith) {
		return false
	}
	return slices.ContainsFunc(secretNames, contains) || slices.ContainsFunc(secretEnds, endsWith)
}

// WriteOptions prints options, masked by [Mask], one a line and sorted by name.
func WriteOptions(w io.Writer, options map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		fmt.Fprintf(w, "%s = %s\n", name, Mask(name, options[name]))
	}
}
