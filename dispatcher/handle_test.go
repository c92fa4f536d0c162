package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goslo/goslo/dispatcher"
	"github.com/goslo/goslo/serializer"
)

// text is how a test sees what arrived.
func text(v any) string { return fmt.Sprintf("%+v", v) }

type base struct {
	ID   string `json:"id"`
	Note string `json:"base_note"`
}

type Paging struct {
	Limit  int
	Marker *string `json:"marker"`
}

type spec struct {
	base
	*Paging
	Inner   base `json:"inner"`
	Note    string
	Hosts   []string `json:"hosts,omitempty"`
	Dash    int      `json:"-,"` //nolint:staticcheck // the odd tag is what is tested
	Hidden  string   `json:"-"`
	private string   //nolint:unused // that it is no argument is what is tested
}

// upper decodes itself.
type upper struct{ text string }

func (u *upper) UnmarshalJSON(data []byte) error {
	if string(data) == "{}" {
		return errors.New("nothing to shout")
	}
	u.text = strings.ToUpper(string(data))
	return nil
}

func (u upper) String() string { return u.text }

func TestHandleFillsArgumentsByTheirJSONNames(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "build", func(_ context.Context, s spec) (string, error) {
		paging := s.Paging
		s.Paging = nil
		return text(s) + text(paging), nil
	})
	for args, want := range map[string]string{
		``:   `"{base:{ID: Note:} Paging:<nil> Inner:{ID: Note:} Note: Hosts:[] Dash:0 Hidden: private:}<nil>"`,
		`{}`: `"{base:{ID: Note:} Paging:<nil> Inner:{ID: Note:} Note: Hosts:[] Dash:0 Hidden: private:}<nil>"`,
		`{"id": "i", "base_note": "b", "Note": "n", "hosts": ["a"], "-": 7, "inner": {"id": "j", "other": 1}}`://
		`"{base:{ID:i Note:b} Paging:<nil> Inner:{ID:j Note:} Note:n Hosts:[a] Dash:7 Hidden: private:}<nil>"`,
		`{"Limit": 5}`:   `"{base:{ID: Note:} Paging:<nil> Inner:{ID: Note:} Note: Hosts:[] Dash:0 Hidden: private:}&{Limit:5 Marker:<nil>}"`,
		`{"hosts":null}`: `"{base:{ID: Note:} Paging:<nil> Inner:{ID: Note:} Note: Hosts:[] Dash:0 Hidden: private:}<nil>"`,
	} {
		wantCall(t, ep, "build", args, want)
	}
}

func TestHandleRefusesArgumentsThatDoNotFit(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "build", func(context.Context, spec) (any, error) { return "ran", nil })
	for args, want := range map[string]string{
		`{"nosuch": 1}`:             `unexpected argument "nosuch"`,
		`{"id": "i", "\u006eo": 1}`: `unexpected argument "no"`,
		`{"ID": "i"}`:               `unexpected argument "ID"`,
		`{"Hidden": "h"}`:           `unexpected argument "Hidden"`,
		`{"private": "p"}`:          `unexpected argument "private"`,
		`{"base": {}}`:              `unexpected argument "base"`,
		`{"Paging": {}}`:            `unexpected argument "Paging"`,
		`{"Inner": {}}`:             `unexpected argument "Inner"`,
		`{"hosts": "a"}`:            `hosts: `,
		`{"Limit": 1.5}`:            `Limit: `,
		`{"inner": {"id": 1}}`:      `inner.id: `,
		`[1]`:                       "",
		`null`:                      "",
		`{"id": "i"`:                "",
		`{"id": }`:                  "",
	} {
		wantArgumentError(t, ep, "build", args, want)
	}
	_, err := call(t, ep, "build", `{"Limit": "x"}`)
	if !errors.Is(err, serializer.ErrDecode) {
		t.Errorf("error = %v, want it to match ErrDecode", err)
	}
}

// TestHandleKnowsTheFieldsThatTheSerializerFills tries fields whose names in Go and on the bus differ in who
// wins: what the serializer ignores must be refused, what it fills must not.
func TestHandleKnowsTheFieldsThatTheSerializerFills(t *testing.T) {
	t.Parallel()
	type Named struct {
		A string `json:"a"`
	}
	type Hidden struct {
		B string `json:"b"`
	}
	type Shadowed struct {
		Name string `json:"base_name"`
	}
	type args struct {
		Named    `json:"named"`
		Hidden   `json:"-"`
		Shadowed        // whose Name is another on the bus than the one below
		Name     string `json:"name"`
	}
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "get", func(_ context.Context, a args) (string, error) { return text(a), nil })
	wantCall(t, ep, "get", `{"named": {"a": "1"}, "base_name": "2", "name": "3"}`,
		`"{Named:{A:1} Hidden:{B:} Shadowed:{Name:2} Name:3}"`)
	wantArgumentError(t, ep, "get", `{"a": "1"}`, `unexpected argument "a"`)
	wantArgumentError(t, ep, "get", `{"b": "1"}`, `unexpected argument "b"`)
}

type Level int

func TestHandleTakesAnEmbeddedTypeThatIsNoStructByItsName(t *testing.T) {
	t.Parallel()
	type args struct{ Level }
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "get", func(_ context.Context, a args) (int, error) { return int(a.Level), nil })
	wantCall(t, ep, "get", `{"Level": 3}`, "3")
}

type tree struct {
	Name  string `json:"name"`
	*tree        //nolint:unused // a type that embeds itself
}

func TestHandleTakesATypeThatEmbedsItself(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "get", func(_ context.Context, a tree) (string, error) { return a.Name, nil })
	wantCall(t, ep, "get", `{"name": "root"}`, `"root"`)
}

func TestHandleTakesEveryArgumentWhereTheTypeDoes(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "any", func(_ context.Context, a any) (any, error) { return a, nil })
	dispatcher.Handle(ep, "map", func(_ context.Context, a map[string]int) (any, error) { return a, nil })
	dispatcher.Handle(ep, "named", func(_ context.Context, a map[Word]any) (any, error) { return a, nil })
	dispatcher.Handle(ep, "own", func(_ context.Context, a upper) (any, error) { return a.text, nil })
	dispatcher.Handle(ep, "raw", func(_ context.Context, a json.RawMessage) (any, error) { return string(a), nil })
	for _, c := range []struct{ method, args, want string }{
		{"any", `{"a": [1.0, null]}`, `{"a": [1.0, null]}`},
		{"any", ``, ``},
		{"map", `{"a": 1, "b": 2}`, `{"a": 1, "b": 2}`},
		{"map", ``, `{}`},
		{"named", `{"a": 1}`, `{"a": 1}`},
		{"own", `{"a": 1}`, `"{\"A\": 1}"`},
		{"raw", `{"a": 1}`, `"{\"a\": 1}"`},
	} {
		wantCall(t, ep, c.method, c.args, c.want)
	}
	wantArgumentError(t, ep, "map", `{"a": "text"}`, "a: ")
	wantArgumentError(t, ep, "own", `{}`, "nothing to shout")
}

type Word string

func TestHandleMakesTheStructThatAPointerPointsTo(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "get", func(_ context.Context, a *Paging) (int, error) { return a.Limit, nil })
	wantCall(t, ep, "get", `{"Limit": 4}`, "4")
	wantCall(t, ep, "get", `{}`, "0")
	wantCall(t, ep, "get", ``, "0")
	wantArgumentError(t, ep, "get", `{"nosuch": 4}`, `unexpected argument "nosuch"`)
}

func TestHandleWithoutArgumentsRefusesAny(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "get", func(context.Context, struct{}) (bool, error) { return true, nil })
	wantCall(t, ep, "get", ``, "true")
	wantCall(t, ep, "get", `{}`, "true")
	wantArgumentError(t, ep, "get", `{"a": 1}`, `unexpected argument "a"`)
}

func TestHandleCastAnswersNull(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	ran := 0
	dispatcher.HandleCast(ep, "refresh", func(_ context.Context, p Paging) error { ran += p.Limit; return nil })
	wantCall(t, ep, "refresh", `{"Limit": 3}`, "")
	wantArgumentError(t, ep, "refresh", `{"limit": 3}`, `unexpected argument "limit"`)
	if ran != 3 {
		t.Errorf("the method saw %d, want 3", ran)
	}
}

func TestHandleArgTakesOneArgumentOfAnyType(t *testing.T) {
	t.Parallel()
	ep := dispatcher.NewEndpoint()
	dispatcher.HandleArg(ep, "list", "hosts", func(_ context.Context, a []string) (int, error) { return len(a), nil })
	dispatcher.HandleArg(ep, "struct", "spec", func(_ context.Context, a base) (string, error) { return text(a), nil })
	dispatcher.HandleArg(ep, "optional", "n", func(_ context.Context, a *int) (any, error) {
		if a == nil {
			return "none", nil
		}
		return *a, nil
	})
	for _, c := range []struct{ method, args, want string }{
		{"list", `{"hosts": ["a", "b"]}`, "2"},
		{"list", `{"hosts": null}`, "0"},
		{"struct", `{"spec": {"id": "i", "unknown": "members of a value are its own matter"}}`, `"{ID:i Note:}"`},
		{"optional", `{"n": 0}`, "0"},
		{"optional", `{"n": null}`, `"none"`},
		{"optional", `{}`, `"none"`},
		{"optional", ``, `"none"`},
	} {
		wantCall(t, ep, c.method, c.args, c.want)
	}
	for _, c := range []struct{ method, args, want string }{
		{"list", ``, `missing argument "hosts"`},
		{"list", `{}`, `missing argument "hosts"`},
		{"list", `{"hosts": [], "more": 1}`, `unexpected argument "more"`},
		{"list", `{"hosts": {}}`, `argument "hosts": `},
		{"struct", `{"spec": {"id": 1}}`, `argument "spec": id: `},
		{"optional", `{"n": "one"}`, `argument "n": `},
		{"optional", `{"m": 1}`, `unexpected argument "m"`},
		{"optional", `[]`, ""},
		{"optional", `{"n": 1,}`, ""},
	} {
		wantArgumentError(t, ep, c.method, c.args, c.want)
	}
}

func TestRegistrationPanicsForAProgrammersMistake(t *testing.T) {
	t.Parallel()
	none := func(context.Context, struct{}) (any, error) { return nil, nil } //nolint:nilnil // never called
	ep := dispatcher.NewEndpoint()
	dispatcher.Handle(ep, "taken", none)
	for name, c := range map[string]struct {
		want     string
		register func()
	}{
		"a name twice": {`"taken" registered twice`, func() { dispatcher.Handle(ep, "taken", none) }},
		"a name twice, of other shapes": {`"taken" registered twice`, func() {
			dispatcher.HandleArg(ep, "taken", "a", func(context.Context, int) (any, error) { return nil, nil }) //nolint:nilnil // never called
		}},
		"no name": {`method name "": want`, func() { dispatcher.Handle(ep, "", none) }},
		"a number for arguments": {`"m": its arguments are a int`, func() {
			dispatcher.Handle(ep, "m", func(context.Context, int) (any, error) { return nil, nil }) //nolint:nilnil // never called
		}},
		"a list for arguments": {"its arguments are a []string", func() {
			dispatcher.HandleCast(ep, "m", func(context.Context, []string) error { return nil })
		}},
		"a map with other keys for arguments": {"its arguments are a map[int]string", func() {
			dispatcher.HandleCast(ep, "m", func(context.Context, map[int]string) error { return nil })
		}},
		"an interface that nothing decoded is": {"its arguments are a fmt.Stringer", func() {
			dispatcher.HandleCast(ep, "m", func(context.Context, fmt.Stringer) error { return nil })
		}},
		"a pointer to a pointer": {"its arguments are a *", func() {
			dispatcher.HandleCast(ep, "m", func(context.Context, **base) error { return nil })
		}},
	} {
		wantPanic(t, c.want, c.register)
		if got := ep.Methods(); len(got) != 1 {
			t.Errorf("%s: the endpoint has methods %q, want the first alone", name, got)
		}
	}
}
