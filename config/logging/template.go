package logging

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// template is a format string of Python's %-style, cut into what stands for itself and keys.
type template []piece

// piece is text, or what is written for a key.
type piece struct {
	text      string
	key       string // empty is text
	flags     string // of -, 0, + and space
	width     int
	precision int // -1 is none
	verb      byte
}

var conversion = regexp.MustCompile(`^%\((\w+)\)([-0+ #]*)(\d{0,3})(?:\.(\d{1,2}))?([sdirfeguxX])`)

var errTemplate = errors.New(`want %(key)s or %(key)d behind a percent sign, or a second one`)

// parseTemplate reads a format string. Which keys there are shows when lines are written.
func parseTemplate(text string) (template, error) {
	var pieces template
	for {
		before, rest, found := strings.Cut(text, "%")
		if before != "" {
			pieces = append(pieces, piece{text: before})
		}
		if !found {
			return pieces, nil
		}
		if after, percent := strings.CutPrefix(rest, "%"); percent {
			pieces, text = append(pieces, piece{text: "%"}), after
			continue
		}
		m := conversion.FindStringSubmatch("%" + rest)
		if m == nil {
			return nil, errTemplate
		}
		p := piece{key: m[1], flags: m[2], precision: -1, verb: m[5][0]}
		p.width, _ = strconv.Atoi(m[3]) // digits, or none
		if m[4] != "" {
			p.precision, _ = strconv.Atoi(m[4])
		}
		pieces, text = append(pieces, p), rest[len(m[0])-1:]
	}
}

func checkTemplate(text string) error {
	_, err := parseTemplate(text)
	return err
}

// has tells whether one of keys is in the template.
func (t template) has(keys ...string) bool {
	return slices.ContainsFunc(t, func(p piece) bool { return p.key != "" && slices.Contains(keys, p.key) })
}

// write adds a line to b, with what value has for a key.
func (t template) write(b *strings.Builder, value func(key string) any) {
	for _, p := range t {
		if p.key == "" {
			b.WriteString(p.text)
			continue
		}
		b.WriteString(p.format(value(p.key)))
	}
}

// format writes a value as Python's % does. A text where a number is wanted stays text: better a strange line than none.
func (p piece) format(v any) string {
	var text string
	switch number, isNumber := numberOf(v); {
	case isNumber && strings.IndexByte("diu", p.verb) >= 0:
		text = strconv.FormatInt(int64(number), 10)
	case isNumber && strings.IndexByte("fegxX", p.verb) >= 0:
		if p.verb == 'x' || p.verb == 'X' {
			return fmt.Sprintf("%"+p.flags+p.size()+string(p.verb), int64(number))
		}
		return fmt.Sprintf("%"+p.flags+p.size()+string(p.verb), number)
	default:
		text = fmt.Sprint(v)
		if p.precision >= 0 && len(text) > p.precision {
			text = text[:p.precision]
		}
	}
	return p.pad(text)
}

func (p piece) size() string {
	size := ""
	if p.width > 0 {
		size = strconv.Itoa(p.width)
	}
	if p.precision >= 0 {
		size += "." + strconv.Itoa(p.precision)
	}
	return size
}

func (p piece) pad(text string) string {
	missing := p.width - len([]rune(text))
	switch {
	case missing <= 0:
		return text
	case strings.Contains(p.flags, "-"):
		return text + strings.Repeat(" ", missing)
	case strings.Contains(p.flags, "0") && p.verb == 'd':
		return strings.Repeat("0", missing) + text
	}
	return strings.Repeat(" ", missing) + text
}

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// layouts are Go's for the codes of strftime that date formats have.
var layouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'b': "Jan", 'B': "January",
	'a': "Mon", 'A': "Monday", 'j': "002", 'z': "-0700", 'Z': "MST", 'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04",
	'e': "_2", 'h': "Jan",
}

func knownCodes() string {
	var codes []string
	for code := range layouts {
		codes = append(codes, "%"+string(code))
	}
	slices.Sort(codes)
	return strings.Join(append(codes, "%f", "%%"), " ")
}

// dateFormat is a format of strftime. Each code is written by itself, so that other text means nothing to Go.
type dateFormat []piece

func parseDate(text string) (dateFormat, error) {
	var pieces dateFormat
	for {
		before, rest, found := strings.Cut(text, "%")
		if before != "" {
			pieces = append(pieces, piece{text: before})
		}
		if !found {
			return pieces, nil
		}
		if rest == "" {
			return nil, errors.New("want a format of strftime, with a letter behind the last percent sign")
		}
		layout, known := layouts[rest[0]]
		switch {
		case rest[0] == '%':
			pieces = append(pieces, piece{text: "%"})
		case rest[0] == 'f' || known:
			pieces = append(pieces, piece{key: layout, verb: rest[0]})
		default:
			return nil, errors.New("want a format of strftime, of " + knownCodes())
		}
		text = rest[1:]
	}
}

func checkDate(text string) error {
	_, err := parseDate(text)
	return err
}

func (f dateFormat) format(at time.Time) string {
	var b strings.Builder
	for _, p := range f {
		switch p.verb {
		case 0:
			b.WriteString(p.text)
		case 'f':
			fmt.Fprintf(&b, "%06d", at.Nanosecond()/int(time.Microsecond))
		default:
			b.WriteString(at.Format(p.key))
		}
	}
	return b.String()
}
