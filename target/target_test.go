package target_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/goslo/goslo/target"
)

func TestTargetPrintsOnlyWhatIsSet(t *testing.T) {
	t.Parallel()
	for want, give := range map[string]target.Target{
		"<>":                                  {},
		"<topic=t>":                           {Topic: "t"},
		"<exchange=nova, topic=t, server=s>":  {Exchange: "nova", Topic: "t", Server: "s"},
		"<topic=t, namespace=n, version=1.2>": {Topic: "t", Namespace: "n", Version: "1.2"},
		"<topic=t, fanout=true>":              {Topic: "t", Fanout: true},
	} {
		if got := give.String(); got != want {
			t.Errorf("String() = %s, want %s", got, want)
		}
	}
}

func TestTargetChecksNameWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		check func() error
		want  string // part of the message; empty for no error
	}{
		{"server without anything", target.Target{}.CheckServer, "topic and a server name"},
		{"server without topic", target.Target{Server: "s"}.CheckServer, "needs a topic"},
		{"server without server", target.Target{Topic: "t"}.CheckServer, "needs a server name"},
		{"whole server", target.Target{Topic: "t", Server: "s"}.CheckServer, ""},
		{"call without topic", target.Target{}.CheckCall, "needs a topic"},
		{"call with fanout", target.Target{Topic: "t", Fanout: true}.CheckCall, "fanout"},
		{"call", target.Target{Topic: "t"}.CheckCall, ""},
		{"cast with fanout", target.Target{Topic: "t", Fanout: true}.CheckCast, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.check()
			if c.want == "" {
				if err != nil {
					t.Fatalf("error = %v, want none", err)
				}
				return
			}
			var invalid *target.InvalidTargetError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error = %v, want an InvalidTargetError with %q", err, c.want)
			}
		})
	}
}
