package api

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// object is one of the body. Its methods take a field out as one type each; the first that is wrong is kept for done, and
// what follows it is not looked at.
type object struct {
	path   string
	fields map[string]any
	err    error
}

// done is what is wrong: a field that was taken, or else one that nobody takes.
func (o *object) done() error {
	if o.err != nil {
		return o.err
	}
	for _, name := range slices.Sorted(maps.Keys(o.fields)) {
		return wrongField(join(o.path, clip(name)), "unknown field")
	}
	return nil
}

// take is a field's value; null is one.
func (o *object) take(name string) (v any, given bool) {
	v, given = o.fields[name]
	delete(o.fields, name)
	return v, given && o.err == nil
}

func (o *object) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

func (o *object) wrong(name, want string, got any) {
	o.fail(wrongField(join(o.path, name), "want %s, got %s", want, kind(got)))
}

func (o *object) missing(name string) { o.fail(wrongField(join(o.path, name), "missing")) }

// object takes an object that must be there. What is wrong in it is for the result's done.
func (o *object) object(name string) *object {
	v, given := o.take(name)
	inner := &object{path: join(o.path, name)}
	if !given {
		o.missing(name)
		return inner
	}
	fields, ok := v.(map[string]any)
	if !ok {
		o.wrong(name, "an object", v)
	}
	inner.fields = fields
	return inner
}

// close makes what is wrong in an inner object wrong in this one.
func (o *object) close(inner *object) {
	if err := inner.done(); err != nil {
		o.fail(err)
	}
}

// number takes a whole number from least to most. One that is missing is 0.
func (o *object) number(name string, least, most int64) int64 {
	v, given := o.take(name)
	if !given {
		return 0
	}
	text, ok := v.(json.Number)
	if !ok {
		o.wrong(name, "a number", v)
		return 0
	}
	n, err := strconv.ParseInt(text.String(), 10, 64) // 1.0 and 1e3 are no whole numbers here
	if err != nil || n < least || n > most {
		o.fail(wrongField(join(o.path, name), "want a whole number from %d to %d, got %s", least, most, clip(text.String())))
	}
	return n
}

// amount takes a resource, which may be missing.
func (o *object) amount(name string) int64 { return o.number(name, 0, maxAmount) }

// needed takes a resource that must be there.
func (o *object) needed(name string) int64 {
	if _, given := o.fields[name]; !given {
		o.missing(name)
	}
	return o.amount(name)
}

// text takes a text that matches pattern, of which what says what it wants. One that is missing is empty.
func (o *object) text(name string, pattern *regexp.Regexp, what string) string {
	v, given := o.take(name)
	if !given {
		return ""
	}
	return o.matching(name, v, pattern, what)
}

func (o *object) matching(name string, v any, pattern *regexp.Regexp, what string) string {
	text, ok := v.(string)
	if !ok {
		o.wrong(name, what, v)
		return ""
	}
	if !pattern.MatchString(text) {
		o.fail(wrongField(join(o.path, name), "want %s, got %q", what, clip(text)))
	}
	return text
}

// texts takes a list of texts, of which there may be most.
func (o *object) texts(name string, most int, pattern *regexp.Regexp, what string) []string {
	v, given := o.take(name)
	if !given {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		o.wrong(name, "a list", v)
		return nil
	}
	if len(items) > most {
		o.fail(wrongField(join(o.path, name), "want at most %d, got %d", most, len(items)))
		return nil
	}
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = o.matching(index(name, i), item, pattern, what)
	}
	return texts
}

// flag takes a boolean; one that is missing is false.
func (o *object) flag(name string) bool {
	v, given := o.take(name)
	if !given {
		return false
	}
	b, ok := v.(bool)
	if !ok {
		o.wrong(name, "true or false", v)
	}
	return b
}

// What texts must look like. Names are those of hosts in DNS, with underscores, which hosts have too.
var (
	uuidText = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	hostText = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?$`)
	zoneText = regexp.MustCompile(`^[^\x00-\x1f\x7f]{1,255}$`)
)

const (
	wantUUID = "a UUID"
	wantHost = "a name of letters, digits, dots, dashes and underscores"
	wantZone = "a name of 1 to 255 characters"
)

const (
	maxInstances = nova.MaxInstances
	maxNames     = 1000 // of hosts in one list
	maxAmount    = placement.MaxAmount
)

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// clip keeps what a client sent short enough for an answer of one line.
func clip(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}

// kind is what JSON calls the type of v.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
