package dispatcher_test

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/goslo/goslo/dispatcher"
)

// methodName is the rule as users are told it.
var methodName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

var (
	goodNames = []string{"a", "Z", "_", "select_destinations", "__x", "x9", "CamelCase", strings.Repeat("x", 128)}
	badNames  = []string{
		"", "9", "9x", "a.b", "a-b", "a b", " a", "a ", "a\n", "\n", "a\x00", "größe", "ａ", "a\xff", "a/b", "a[", "a@", "a`", "a{", "a:",
		strings.Repeat("x", 129), strings.Repeat("x", 1<<20),
	}
)

func TestCheckNameHoldsNamesAgainstThePattern(t *testing.T) {
	t.Parallel()
	check := func(tb interface{ Errorf(string, ...any) }, name string) {
		err := dispatcher.CheckName(name)
		var bad *dispatcher.NameError
		switch good := methodName.MatchString(name) && !strings.HasSuffix(name, "\n"); {
		case good != (err == nil):
			tb.Errorf("CheckName(%q) = %v", name, err)
		case !good && (!errors.As(err, &bad) || bad.Name != name || strings.Contains(err.Error(), "\n") || len(err.Error()) > 3000):
			tb.Errorf("CheckName(%q) = %q, want a NameError of one line", name, err)
		}
	}
	for _, name := range append(goodNames, badNames...) {
		check(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z_.\n9]{0,4}`), rapid.StringMatching(`_[a-z0-9]{120,135}`)).Draw(t, "name"))
	})
}

func TestEndpointsTakeNoMethodOfAnotherName(t *testing.T) {
	t.Parallel()
	none := func(context.Context, struct{}) error { return nil }
	for _, name := range goodNames {
		ep := dispatcher.NewEndpoint()
		dispatcher.HandleCast(ep, name, none)
		if _, err := dispatcher.New([]*dispatcher.Endpoint{ep}, dispatcher.LegacyPolicy); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range badNames {
		ep := dispatcher.NewEndpoint()
		named := strconv.Quote(name)[1:]
		wantPanic(t, `method name "`+strings.TrimSuffix(named[:min(len(named), 200)], `"`), func() { dispatcher.HandleCast(ep, name, none) })
		if got := ep.Methods(); len(got) != 0 {
			t.Errorf("%.200q: the endpoint has it", name)
		}
	}
}

type foreigner struct{}

func (foreigner) Plain(context.Context) error { return nil }

// Größe is exported to Go and cannot be to the bus.
func (foreigner) Größe(context.Context) error { return nil }

func TestReflectEndpointNamesTheMethodThatCannotBeOnTheBus(t *testing.T) {
	t.Parallel()
	_, err := dispatcher.ReflectEndpoint(foreigner{})
	var unsuitable *dispatcher.UnsuitableMethodError
	if !errors.As(err, &unsuitable) || unsuitable.Method != "Größe" || !strings.Contains(unsuitable.Reason, `method name "größe": want`) {
		t.Errorf("ReflectEndpoint = %v, want an error that names Größe and why", err)
	}
	if ep, err := dispatcher.ReflectEndpoint(foreigner{}, dispatcher.Except("Größe")); err != nil || len(ep.Methods()) != 1 {
		t.Errorf("without it: error %v", err)
	}
}

// TestRequestsWithOtherNamesAreRefused has the texts that oslo.messaging answers with, where the name can be printed.
func TestRequestsWithOtherNamesAreRefused(t *testing.T) {
	t.Parallel()
	const noMethod = "Endpoint does not support RPC method "
	texts := map[string]string{
		"": noMethod, "a.b": noMethod + "a.b", "größe": noMethod + "größe", "a b": noMethod + "a b",
		"a\n":                      noMethod + `"a\n"`,
		"a\xff":                    noMethod + `"a\xff"`,
		strings.Repeat("x", 129):   noMethod + strings.Repeat("x", 129),
		strings.Repeat("x", 1<<20): noMethod + strings.Repeat("x", 253) + "...",
	}
	for _, policy := range []dispatcher.Policy{dispatcher.DefaultPolicy, dispatcher.LegacyPolicy} {
		d, err := dispatcher.New([]*dispatcher.Endpoint{answering("yes", []string{"a"})}, policy)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range badNames {
			_, err := d.Find(&dispatcher.Request{Method: name})
			var missing *dispatcher.NoSuchMethodError
			if !errors.As(err, &missing) || missing.Method != name {
				t.Errorf("%.200q: error = %v, want NoSuchMethodError", name, err)
				continue
			}
			if want, ok := texts[name]; ok && err.Error() != want {
				t.Errorf("%.200q: error = %q, want %q", name, err, want)
			}
		}
	}
}

func TestUnsupportedVersionsAreToldInOneShortLine(t *testing.T) {
	t.Parallel()
	err := &dispatcher.UnsupportedVersionError{Version: "1\n0", Method: strings.Repeat("x", 1000)}
	want := `Endpoint does not support RPC version "1\n0". Attempted method: ` + strings.Repeat("x", 253) + "..."
	if err.Error() != want {
		t.Errorf("error = %s, want %s", err, want)
	}
}
