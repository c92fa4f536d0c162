// Package logging sets a logrus logger up by the options that oslo.log has: debug, log_file, log_dir, use_stderr and
// use_json of [DEFAULT]. Lines look as those of OpenStack's services do, with the request id in each.
package logging

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/config"
)

var (
	debugOption = &config.Option[bool]{
		Name: "debug", Type: config.Bool(), Mutable: true, CLI: true, Short: "d",
		Help: "Log at level DEBUG instead of INFO.",
	}
	fileOption = &config.Option[string]{
		Name: "log_file", Type: config.String(), NoDefault: true, CLI: true, Deprecated: []config.Key{{Name: "logfile"}},
		Help: "The file to log to; by default standard error. It is opened anew when it has been moved away.",
	}
	dirOption = &config.Option[string]{
		Name: "log_dir", Type: config.String(), NoDefault: true, CLI: true, Deprecated: []config.Key{{Name: "logdir"}},
		Help: "The directory of log_file; where that is not given, of a file named for the program.",
	}
	stderrOption = &config.Option[bool]{
		Name: "use_stderr", Type: config.Bool(), Help: "Log to standard error beside the file.",
	}
	jsonOption = &config.Option[bool]{Name: "use_json", Type: config.Bool(), CLI: true, Help: "Log lines of JSON."}
)

// others are options of oslo.log that have no counterpart here: a file may have them without a warning.
var others = []string{
	"log_config_append", "log_config", "log_date_format", "watch_log_file", "use_syslog", "use_journal", "syslog_log_facility",
	"use_eventlog", "log_rotate_interval", "log_rotate_interval_type", "max_logfile_count", "max_logfile_size_mb", "log_rotation_type",
	"log_color", "logging_context_format_string", "logging_default_format_string", "logging_debug_format_suffix",
	"logging_exception_prefix", "logging_user_identity_format", "default_log_levels", "publish_errors", "instance_format",
	"instance_uuid_format", "rate_limit_interval", "rate_limit_burst", "rate_limit_except_level", "fatal_deprecations",
}

// Register makes the options of this package known to c, before it is loaded. Those of oslo.log that have no
// counterpart, such as log_rotation_type and default_log_levels, are known and without effect.
func Register(c *config.Config) error {
	c.Ignore(config.DefaultGroup, others...)
	return c.Register(debugOption, fileOption, dirOption, stderrOption, jsonOption)
}

// Option is a choice about a set-up.
type Option func(*setup)

type setup struct {
	program string
	stderr  io.Writer
	request func(context.Context) (id, globalID string)
}

// WithStderr takes the place of standard error.
func WithStderr(w io.Writer) Option { return func(s *setup) { s.stderr = w } }

// WithRequestIDs tells which request a context belongs to, for lines that are logged with it (logrus' WithContext):
// [messaging.RequestIDs], as a rule. Fields request_id and global_request_id of a line win over it.
func WithRequestIDs(ids func(context.Context) (id, globalID string)) Option {
	return func(s *setup) { s.request = ids }
}

// Setup has log write as c says, for the program of that name. The level follows option debug when c is mutated or
// reloaded; the other options count from the start. It fails when the file cannot be opened, with an error that names option
// and file. Close the result when nothing logs any more.
//
// Without a file lines go to standard error, whatever use_stderr says; oslo.log then shows warnings only.
func Setup(c *config.Config, program string, log *logrus.Logger, opts ...Option) (io.Closer, error) {
	s := setup{program: program, stderr: os.Stderr, request: func(context.Context) (string, string) { return "", "" }}
	for _, opt := range opts {
		opt(&s)
	}
	out, file, err := s.output(c)
	if err != nil {
		return nil, err
	}
	log.SetOutput(out)
	if jsonOption.Get(c) {
		log.SetFormatter(newJSONFormatter(s))
	} else {
		log.SetFormatter(newLineFormatter(s))
	}
	setLevel(c, log)
	c.OnChange(func([]config.Change) { setLevel(c, log) })
	return file, nil
}

func setLevel(c *config.Config, log *logrus.Logger) {
	level := logrus.InfoLevel
	if debugOption.Get(c) {
		level = logrus.DebugLevel
	}
	log.SetLevel(level)
}

// output opens where lines go.
func (s *setup) output(c *config.Config) (io.Writer, io.Closer, error) {
	path, option := fileOption.Get(c), fileOption.Name
	if dir := dirOption.Get(c); dir != "" {
		if path == "" {
			path, option = s.program+".log", dirOption.Name
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
	}
	if path == "" {
		return s.stderr, io.NopCloser(nil), nil
	}
	file, err := openWatched(path)
	if err != nil {
		return nil, nil, fmt.Errorf("option %s: %w", option, err)
	}
	if stderrOption.Get(c) {
		return io.MultiWriter(file, s.stderr), file, nil
	}
	return file, file, nil
}
