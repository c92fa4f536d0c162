package config

import "strings"

// substitute resolves references to other options as Python's string.Template does with oslo.config's pattern of names
// (cfg.py, ConfigOpts._substitute): $name, ${name}, ${group.name}, and $$ or \$ for a dollar sign. A $ before anything
// else stands for itself.
func substitute(text string, lookup func(name string) (string, error)) (string, error) {
	text = strings.ReplaceAll(text, `\$`, "$$")
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, rest := reference(after)
		switch {
		case strings.HasPrefix(after, "$"):
			b.WriteByte('$')
			rest = after[1:]
		case name == "":
			b.WriteByte('$')
		default:
			value, err := lookup(name)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
		}
		text = rest
	}
}

// reference is the name that text, which stood behind a $, begins with, and what follows it.
func reference(text string) (name, rest string) {
	braced, inBraces := strings.CutPrefix(text, "{")
	end := nameLength(braced)
	switch {
	case end == 0, inBraces && !strings.HasPrefix(braced[end:], "}"):
		return "", text
	case inBraces:
		return braced[:end], braced[end+1:]
	}
	return braced[:end], braced[end:]
}

func nameLength(text string) int {
	for i, c := range []byte(text) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '.' && (c < '0' || c > '9')) {
			return i
		}
	}
	return len(text)
}
