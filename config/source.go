package config

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is where a value comes from.
type Kind int

// Kinds, from the weakest to the strongest.
const (
	FromDefault Kind = iota
	FromFile
	FromEnvironment
	FromFlag
)

// Source is where a value comes from. The zero value is the default.
type Source struct {
	Kind Kind
	// Name is that of the file, the environment variable or the flag.
	Name string
	// Line is that of the file.
	Line int
}

// String is as errors show it: file:line, a variable, --flag or default.
func (s Source) String() string {
	switch s.Kind {
	case FromDefault:
		return "default"
	case FromFile:
		return fmt.Sprintf("%s:%d", s.Name, s.Line)
	case FromEnvironment:
		return "environment variable " + s.Name
	default:
		return s.Name
	}
}

// ValueError tells that an option's value is not what it takes.
type ValueError struct {
	Key    Key
	Source Source
	Err    error
}

// Error is one line: where, which option, and what is wanted.
func (e *ValueError) Error() string {
	text := fmt.Sprintf("option %s: %v", e.Key, e.Err)
	if e.Source.Kind == FromDefault {
		return text
	}
	return e.Source.String() + ": " + text
}

// Unwrap is the reason.
func (e *ValueError) Unwrap() error { return e.Err }

// given is what one source says about an option.
type given struct {
	texts  []string
	source Source
}

// inputs are the sources of one load.
type inputs struct {
	documents []*document // the last one wins
	flags     map[Key]given
	lookupEnv func(string) (string, bool)
}

// of returns what counts for an option: flags, else the environment, else files.
func (in *inputs) of(d *definition) (given, bool) {
	if g, ok := in.flags[d.key]; ok {
		return g, true
	}
	name := envName(d)
	if text, ok := in.lookupEnv(name); ok {
		return given{[]string{text}, Source{Kind: FromEnvironment, Name: name}}, true
	}
	return in.inFiles(d)
}

// envName is as oslo.config builds it (sources/_environment.py).
func envName(d *definition) string { return strings.ToUpper("OS_" + d.group + "__" + d.key.Name) }

// inFiles looks through the files from the last to the first, in each under the present name, then the former ones. The
// values of a [Multi] are those of all files, the first one's first, and in each those of former names first
// (cfg.py, _Namespace._get_file_value).
func (in *inputs) inFiles(d *definition) (found given, ok bool) {
	for _, doc := range slices.Backward(in.documents) {
		for _, key := range append([]Key{d.key}, d.former...) {
			entries := doc.values[key]
			if len(entries) == 0 {
				continue
			}
			if !ok {
				found.source = Source{Kind: FromFile, Name: doc.file, Line: entries[len(entries)-1].line}
				ok = true
			}
			found.texts = append(texts(entries), found.texts...)
			if !d.multi {
				return found, true
			}
		}
	}
	return found, ok
}

func texts(entries []*entry) []string {
	all := make([]string, 0, len(entries))
	for _, e := range entries {
		all = append(all, e.value)
	}
	return all
}
