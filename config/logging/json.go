package logging

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
)

// jsonFormatter writes the keys of oslo.log's JSONFormatter that a Go program has.
type jsonFormatter struct {
	*formats
	name string
}

// jsonLine is one line.
type jsonLine struct {
	Message   string         `json:"message"`
	Time      string         `json:"asctime"`
	Name      string         `json:"name"`
	Level     string         `json:"levelname"`
	LevelNo   int            `json:"levelno"`
	Created   float64        `json:"created"`
	Msecs     int            `json:"msecs"`
	Process   int            `json:"process"`
	Hostname  string         `json:"hostname"`
	Path      string         `json:"pathname,omitempty"`
	Line      int            `json:"lineno,omitempty"`
	Function  string         `json:"funcname,omitempty"`
	Context   map[string]any `json:"context"`
	Extra     map[string]any `json:"extra"`
	Traceback any            `json:"traceback"`
}

// contextKeys are those of a request that lines show: others may be secrets, as auth_token is.
var contextKeys = []string{
	requestField, globalRequestField, "user", "user_id", "user_name", "project", "project_id", "project_name", "domain", "system_scope",
	"user_domain", "project_domain", "user_identity", "resource_uuid",
}

// Format implements logrus.Formatter.
func (f *jsonFormatter) Format(e *logrus.Entry) ([]byte, error) {
	r := f.record(f.name, e)
	line := jsonLine{
		Message: e.Message, Time: f.date.format(e.Time), Name: f.name, Level: levels[e.Level].name, LevelNo: levels[e.Level].number,
		Created: created(e.Time), Msecs: e.Time.Nanosecond() / int(time.Millisecond), Process: f.pid, Hostname: f.hostname, Context: map[string]any{}, Extra: map[string]any{},
	}
	if e.Caller != nil {
		line.Path, line.Line, line.Function = e.Caller.File, e.Caller.Line, e.Caller.Function
	}
	for _, key := range contextKeys {
		if value := r.of(key); value != "" && (key == requestField || key == globalRequestField || r.request[key] != nil) {
			line.Context[key] = value
		}
	}
	for _, fields := range []logrus.Fields{f.worker, e.Data} {
		for key, value := range fields {
			if key != requestField && key != globalRequestField {
				line.Extra[key] = primitive(value)
			}
		}
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return nil, fmt.Errorf("log line: %w", err)
	}
	return append(encoded, '\n'), nil
}

// primitive is a value that JSON always has: other ones are shown as text.
func primitive(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int, int64, uint64:
		return v
	}
	return text(v)
}
