package acceptance_test

import (
	"fmt"
	"testing"

	"github.com/goslo/goslo/internal/acceptance"
)

func TestDifferencesAreOfRecordedCasesAndDocumented(t *testing.T) {
	t.Parallel()
	recorded := map[string]bool{}
	for _, release := range acceptance.Releases() {
		for _, c := range acceptance.ServerCases(t, release) {
			recorded["server "+c.Case] = true
		}
		for _, c := range acceptance.ClientCases(t, release) {
			recorded["client "+c.Case] = true
		}
	}
	reasons := map[string]string{}
	for name, d := range acceptance.ServerDifferences {
		reasons[name] = d.Reason
		if !recorded["server "+name] {
			t.Errorf("no server was recorded with the case %s", name)
		}
	}
	for name, d := range acceptance.ClientDifferences {
		reasons[name] = d.Reason
		if !recorded["client "+name] {
			t.Errorf("no client was recorded with the case %s", name)
		}
	}
	acceptance.CheckDocumented(t, "../../DESIGN.md", reasons)
	acceptance.CheckDocumented(t, "../../DESIGN.md", acceptance.SlowedClientCases)
}

func TestParseReplyRefusesWhatAPythonClientCannotRead(t *testing.T) {
	t.Parallel()
	const (
		id      = `\"_unique_id\": \"0123456789abcdef0123456789abcdef\"`
		failure = `{\\\"class\\\": \\\"E\\\", \\\"module\\\": \\\"m\\\", \\\"message\\\": \\\"t\\\", \\\"tb\\\": %s, \\\"args\\\": [1], \\\"kwargs\\\": {}}`
	)
	envelope := func(inner string) string { return `{"oslo.version": "2.0", "oslo.message": "` + inner + `"}` }
	reply := func(failure, ending, id string) string {
		return envelope(`{\"result\": NaN, \"failure\": ` + failure + `, \"ending\": ` + ending + `, \"_msg_id\": 7, ` + id + `}`)
	}
	for name, body := range map[string]string{
		"a result":  reply("null", "true", id),
		"a failure": reply(`\"`+fmt.Sprintf(failure, "[]")+`\"`, "true", id),
	} {
		r, err := acceptance.ParseReply([]byte(body))
		if err != nil || r.Key() != "7" || r.Result != "not a number" || !r.Ending || r.Heartbeat() || (r.Failure != nil) != (name == "a failure") {
			t.Errorf("%s: ParseReply = %+v, %v", name, r, err)
		}
	}
	for name, body := range map[string]string{
		"no JSON":                       `{`,
		"a bare message":                `{"result": 1}`,
		"another version":               `{"oslo.version": "2.1", "oslo.message": "{}"}`,
		"a message that is no text":     `{"oslo.version": "2.0", "oslo.message": {}}`,
		"no keys":                       envelope(`{}`),
		"ending that is no boolean":     reply("null", "1", id),
		"a unique id with dashes":       reply("null", "true", `\"_unique_id\": \"01234567-89ab-cdef-0123-456789abcdef\"`),
		"a failure that is no text":     reply(`{}`, "true", id),
		"a failure without keys":        reply(`\"{}\"`, "true", id),
		"a failure without a traceback": reply(`\"`+fmt.Sprintf(failure, "null")+`\"`, "true", id),
	} {
		if r, err := acceptance.ParseReply([]byte(body)); err == nil {
			t.Errorf("%s: ParseReply = %+v, want an error", name, r)
		}
	}
}
