package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFile bounds a file: what is larger is no configuration.
const maxFile = 16 << 20

// DefaultGroup is the group of options that name none.
const DefaultGroup = "DEFAULT"

// ParseError tells where a file is not in the dialect. It shows none of the file's text, which may be a password.
type ParseError struct {
	File   string
	Line   int
	Reason string
}

// Error is one line: file:line: reason.
func (e *ParseError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

// document is what one file says.
type document struct {
	file    string
	entries []*entry
	values  map[Key][]*entry // of normalised groups, in the order of the file
}

// entry is one assignment.
type entry struct {
	key   Key
	value string
	line  int
}

// normalGroup makes names of groups comparable as oslo.config does (cfg.py, _normalize_group_name).
func normalGroup(name string) string {
	if name == DefaultGroup {
		return name
	}
	return strings.ToLower(name)
}

// iniParser reads a file line by line (oslo_config/iniparser.py, BaseParser).
type iniParser struct {
	doc   *document
	group string // empty before the first section
	open  *entry // the assignment that a continuation belongs to
	lines []string
}

// parseINI reads text; the error is a [*ParseError].
func parseINI(file string, text []byte) (*document, error) {
	if err := checkText(file, text); err != nil {
		return nil, err
	}
	p := &iniParser{doc: &document{file: file, values: make(map[Key][]*entry)}}
	number := 0
	// Python reads text with universal newlines.
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(text)), "\n") {
		number++
		if reason := p.line(number, strings.TrimRightFunc(line, isSpace)); reason != "" {
			return nil, &ParseError{file, number, reason}
		}
	}
	p.close()
	return p.doc, nil
}

func checkText(file string, text []byte) error {
	if bytes.HasPrefix(text, []byte("\uFEFF")) {
		return &ParseError{file, 1, "begins with a byte order mark: want UTF-8 without it"}
	}
	if utf8.Valid(text) {
		return nil
	}
	line := 1
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		text = text[size:]
	}
	return &ParseError{file, line, "want UTF-8"}
}

// line takes one line without its end and returns what is wrong with it.
func (p *iniParser) line(number int, line string) (reason string) {
	if line != "" && (line[0] == ' ' || line[0] == '\t') {
		if p.open == nil {
			return "a line that begins with a space continues a value, and here is none"
		}
		p.lines = append(p.lines, strings.TrimLeftFunc(line, isSpace))
		return ""
	}
	p.close()
	switch {
	case line == "" || line[0] == '#' || line[0] == ';':
		return ""
	case line[0] == '[':
		return p.section(line)
	}
	return p.assignment(number, line)
}

func (p *iniParser) section(line string) (reason string) {
	switch {
	case !strings.HasSuffix(line, "]"):
		return "want ] at the end of a section's line"
	case len(line) <= 2:
		return "want a section's name between [ and ]"
	}
	p.group = line[1 : len(line)-1]
	return ""
}

func (p *iniParser) assignment(number int, line string) (reason string) {
	at := strings.IndexAny(line, ":=")
	if at < 0 {
		return "want name = value"
	}
	name := strings.TrimFunc(line[:at], isSpace)
	if name == "" {
		return "want a name before the " + line[at:at+1]
	}
	if p.group == "" {
		return "want a [section] before the first value"
	}
	p.open = &entry{key: Key{normalGroup(p.group), name}, line: number}
	p.lines = append(p.lines, unquote(strings.TrimFunc(line[at+1:], isSpace)))
	return ""
}

// close ends the open assignment.
func (p *iniParser) close() {
	if p.open == nil {
		return
	}
	p.open.value = strings.Join(p.lines, "\n")
	p.doc.entries = append(p.doc.entries, p.open)
	p.doc.values[p.open.key] = append(p.doc.values[p.open.key], p.open)
	p.open, p.lines = nil, nil
}

// unquote takes a pair of quotes off; a lone quote is a pair too, as in oslo.config.
func unquote(value string) string {
	if value == "" || value[0] != '"' && value[0] != '\'' || value[len(value)-1] != value[0] {
		return value
	}
	return value[1:max(len(value)-1, 1)]
}

// isSpace is Python's str.isspace, which counts four control characters that Go does not.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
