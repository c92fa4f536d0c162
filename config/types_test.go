package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
)

// typed is a configuration with an option of a type, and the line that a file gives it.
func typed[T any](t *testing.T, of config.Type[T], line string) (T, error) {
	t.Helper()
	o := &config.Option[T]{Group: "types", Name: "value", Type: of, NoDefault: true}
	c := newWorld(t, nil).config(t, newOptions())
	if err := c.Register(o); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, map[string]string{"f.conf": "[types]\nvalue = " + line + "\n"})
	err := c.Parse(w.args("--config-file=DIR/f.conf"))
	return o.Get(c), err
}

func TestAddressesAreReadAsOsloReadsThem(t *testing.T) {
	t.Parallel()
	const noIP, noHost, noURI = "want an IP address", "want a host's name or an IP address", "want a URI"
	for _, test := range []struct {
		name       string
		of         config.Type[string]
		text, want string
		wrong      string
	}{
		{"IP", config.IP(), "192.0.2.1", "192.0.2.1", ""},
		{"IP", config.IP(), "2001:db8::1", "2001:db8::1", ""},
		{"IP", config.IP(), "192.0.2.01", "", noIP},
		{"IP", config.IP(), "fe80::1%eth0", "", noIP},
		{"IP", config.IP(), "", "", noIP},
		{"HostAddress", config.HostAddress(), "cmp-1.example.com.", "cmp-1.example.com", ""},
		{"HostAddress", config.HostAddress(), "::1", "::1", ""},
		{"HostAddress", config.HostAddress(), "192.0.2.300", "", noHost},
		{"HostAddress", config.HostAddress(), "cmp_1", "", noHost},
		{"HostAddress", config.HostAddress(), "-cmp", "", noHost},
		{"HostAddress", config.HostAddress(), strings.Repeat("a.", 127), "", noHost},
		{"HostDomain", config.HostDomain(), "cmp_1", "cmp_1", ""},
		{"HostDomain", config.HostDomain(), "a b", "", noHost},
		{"HostDomain", config.HostDomain(), "", "", noHost},
		{"URI", config.URI(), "rabbit://[::1]:5672/a b", "rabbit://[::1]:5672/a b", ""},
		{"URI", config.URI(), "h/p", "", noURI},
		{"URI", config.URI(), "http://192.0.2.999/", "", noURI + " with a host"},
		{"URI", config.URI(), "http://h:port/", "", noURI + " with a host"},
		{"URI of http", config.URI("http", "https"), "https://u:p@h", "https://u:p@h", ""},
		{"URI of http", config.URI("http", "https"), "ftp://h", "", noURI + " of http, https"},
	} {
		got, err := typed(t, test.of, test.text)
		if test.wrong == "" && (err != nil || got != test.want) {
			t.Errorf("%s %q = %q, %v, want %q", test.name, test.text, got, err, test.want)
		}
		if test.wrong != "" && (err == nil || !strings.Contains(err.Error(), "f.conf:2: option [types] value: "+test.wrong)) {
			t.Errorf("%s %q: error = %v, want %s", test.name, test.text, err, test.wrong)
		}
	}
}

func TestDictsArePairs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		"":                    {},
		"a:1":                 {"a": "1"},
		"b : x:y , a :":       {"a": "", "b": "x:y"},
		"a,b:1":               {"a,b": "1"},
		"a:$state_path,b:$$x": {"a": "/var/lib/x", "b": "$x"},
	} {
		got, err := typed(t, config.Dict(), text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: error %v, or read otherwise (-want +got):\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"a":       "want pairs of name:value with commas between them",
		"a:1,b":   "want pairs of name:value with commas between them",
		":1":      "want a name before each colon",
		"a:1,a:2": `want the name "a" once`,
	} {
		if _, err := typed(t, config.Dict(), text); err == nil || !strings.Contains(err.Error(), "f.conf:2: option [types] value: "+want) {
			t.Errorf("%q: error = %v, want %s", text, err, want)
		}
	}
	c := config.New("prog", config.WithFiles(), config.WithDirs())
	o := &config.Option[map[string]string]{Name: "pairs", Type: config.Dict(), Default: map[string]string{"b": "2", "a": "1"}, Help: "Pairs."}
	var sample strings.Builder
	if err := c.Register(o); err != nil {
		t.Fatal(err)
	}
	if err := c.Sample(&sample); err != nil || !strings.HasSuffix(sample.String(), "# Pairs. (dict value)\n#pairs = a:1,b:2\n") {
		t.Errorf("the sample is %q, %v", &sample, err)
	}
}

// Whatever stands in a value: an error is one line that names the place, and what is read is written so that it is read again.
func FuzzValues(f *testing.F) {
	f.Add("a:1,b:2")
	f.Add("http://u@[::1]:80/")
	f.Add("cmp_1.example.com.")
	f.Add("1_0e3")
	f.Fuzz(func(t *testing.T, text string) {
		again(t, config.Dict(), text)
		again(t, config.IP(), text)
		again(t, config.HostAddress(), text)
		again(t, config.HostDomain(), text)
		again(t, config.URI(), text)
		again(t, config.Int(), text)
		again(t, config.Float(), text)
		again(t, config.Bool(), text)
		again(t, config.List(), text)
	})
}

func again[T any](t *testing.T, of config.Type[T], text string) {
	t.Helper()
	o := &config.Option[T]{Name: "value", Type: of, NoDefault: true}
	c := config.New("prog", config.WithFiles(), config.WithDirs(), config.WithEnvironment(func(name string) (string, bool) {
		return strings.ReplaceAll(text, "$", "$$"), name == "OS_DEFAULT__VALUE"
	}))
	if err := c.Register(o); err != nil {
		t.Fatal(err)
	}
	if err := c.Parse(nil); err != nil {
		if strings.ContainsAny(err.Error(), "\r\n") || !strings.HasPrefix(err.Error(), "config: environment variable OS_DEFAULT__VALUE: option [DEFAULT] value: ") {
			t.Fatalf("%T: the error %q", *new(T), err)
		}
		return
	}
	first := o.Get(c)
	if !o.Given(c) { // an empty number is none
		return
	}
	text = o.Text(c)
	if err := c.Reload(); err != nil {
		t.Fatalf("%#v is written as %q: %v", first, text, err)
	}
	if diff := cmp.Diff(first, o.Get(c)); diff != "" {
		t.Fatalf("%T: %q is read otherwise (-first +again):\n%s", first, text, diff)
	}
}
