package logging

import (
	"maps"
	"slices"
	"strings"

	"github.com/goslo/goslo/config"
)

// Options of oslo.log that count here; all are of [DEFAULT].
var (
	debugOption = &config.Option[bool]{
		Name: "debug", Type: config.Bool(), Mutable: true, CLI: true, Short: "d",
		Help: "Log at level DEBUG instead of INFO.",
	}
	levelsOption = &config.Option[[]string]{
		Name: "default_log_levels", Type: config.List(config.Checked(checkLevels)), Mutable: true,
		Help: "Levels of single loggers, as name=LEVEL with a level or a number of Python's; they win over debug. Loggers here are the program, " +
			"oslo.messaging (also written oslo_messaging), the bus, and others that the program names. The names of Python's " +
			"libraries are without effect. oslo.log's default, which keeps debug lines of the bus out, is not taken over.",
	}
	fileOption = &config.Option[string]{
		Name: "log_file", Type: config.String(), NoDefault: true, CLI: true, Deprecated: []config.Key{{Name: "logfile"}},
		Help: "The file to log to. It is opened anew when it has been moved away or deleted, as logrotate does it.",
	}
	dirOption = &config.Option[string]{
		Name: "log_dir", Type: config.String(), NoDefault: true, CLI: true, Deprecated: []config.Key{{Name: "logdir"}},
		Help: "The directory of log_file; where that is not given, of a file named for the program.",
	}
	stderrOption = &config.Option[bool]{
		Name: "use_stderr", Type: config.Bool(),
		Help: "Log to standard error, beside a file, syslog or the journal. Where none of these is asked for, lines go there anyway.",
	}
	syslogOption = &config.Option[bool]{
		Name: "use_syslog", Type: config.Bool(), Help: "Log to syslog, at /dev/log. Lines that it does not take go to standard error.",
	}
	facilityOption = &config.Option[string]{
		Name: "syslog_log_facility", Type: config.String(config.OneOfFold(facilityNames()...)), Default: "LOG_USER",
		Help: "The facility of lines for syslog and the journal.",
	}
	journalOption = &config.Option[bool]{
		Name: "use_journal", Type: config.Bool(),
		Help: "Log to systemd's journal, with fields beside the message. Lines that it does not take go to standard error.",
	}
	jsonOption = &config.Option[bool]{
		Name: "use_json", Type: config.Bool(), CLI: true, Help: "Log lines of JSON, with the keys of oslo.log's; formats do not count then.",
	}
	dateOption = &config.Option[string]{
		Name: "log_date_format", Type: config.String(config.Checked(checkDate)), Default: "%Y-%m-%d %H:%M:%S", Help: "The format of %(asctime)s, as Python's strftime takes it.",
	}
	contextFormatOption = &config.Option[string]{
		Name: "logging_context_format_string", Type: config.String(config.Checked(checkTemplate)),
		Default: "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(global_request_id)s %(request_id)s %(user_identity)s] " +
			"%(instance)s%(message)s",
		Help: "The format of lines that belong to a request. Keys are those of Python's log records, of the request's context and of " +
			"the line's fields; %(message)s has the fields behind it.",
	}
	defaultFormatOption = &config.Option[string]{
		Name: "logging_default_format_string", Type: config.String(config.Checked(checkTemplate)),
		Default: "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s",
		Help:    "The format of other lines.",
	}
	identityFormatOption = &config.Option[string]{
		Name: "logging_user_identity_format", Type: config.String(config.Checked(checkTemplate)),
		Default: "%(user)s %(project)s %(domain)s %(system_scope)s %(user_domain)s %(project_domain)s",
		Help:    "The format of %(user_identity)s; what the context of a request does not have is a dash.",
	}
	debugSuffixOption = &config.Option[string]{
		Name: "logging_debug_format_suffix", Type: config.String(config.Checked(checkTemplate)), NoDefault: true,
		Help: "What is added to the format of lines at level DEBUG, such as oslo.log's default %(funcName)s %(pathname)s:%(lineno)d. " +
			"To find a line's place takes time, which is why there is none by default.",
	}
	rotationOption = &config.Option[string]{
		Name: "log_rotation_type", Type: config.String(config.OneOfFold("interval", "size", "none")), Default: "none",
		Help: "Without effect, and what is not none is warned of: let logrotate move the file, which needs neither postrotate nor copytruncate.",
	}
	appendOption = &config.Option[string]{
		Name: "log_config_append", Type: config.String(), NoDefault: true, Deprecated: []config.Key{{Name: "log_config"}},
		Help: "Without effect, and warned of: a file for Python's logging says nothing here.",
	}
)

// counting are the options that have an effect.
func counting() []config.Definition {
	return []config.Definition{
		debugOption, levelsOption, fileOption, dirOption, stderrOption, syslogOption, facilityOption, journalOption, jsonOption, dateOption,
		contextFormatOption, defaultFormatOption, identityFormatOption, debugSuffixOption, rotationOption, appendOption,
	}
}

// known are the options of oslo.log that have no effect: files have them, and values that oslo.log takes are taken.
func known() []config.Definition {
	const without = "Without effect: "
	flag := func(name, why string) config.Definition {
		return &config.Option[bool]{Name: name, Type: config.Bool(), Help: without + why}
	}
	number := func(name string, value int, why string) config.Definition {
		return &config.Option[int]{Name: name, Type: config.Int(), Default: value, Help: without + why}
	}
	text := func(name, value, why string) config.Definition {
		return &config.Option[string]{Name: name, Type: config.String(), Default: value, Help: without + why}
	}
	return []config.Definition{
		flag("watch_log_file", "the file is always opened anew when it has been moved."),
		flag("use_eventlog", "there is no event log."),
		flag("log_color", "lines have no colours."),
		number("log_rotate_interval", 1, "see log_rotation_type."),
		&config.Option[string]{
			Name: "log_rotate_interval_type", Default: "days", Help: without + "see log_rotation_type.",
			Type: config.String(config.OneOfFold("Seconds", "Minutes", "Hours", "Days", "Weekday", "Midnight")),
		},
		number("max_logfile_count", 30, "see log_rotation_type."),
		number("max_logfile_size_mb", 200, "see log_rotation_type."),
		text("logging_exception_prefix", "%(asctime)s.%(msecs)03d %(process)d ERROR %(name)s %(instance)s", "an error is part of its line."),
		text("instance_format", "[instance: %(uuid)s] ", "no line has an instance."),
		text("instance_uuid_format", "[instance: %(uuid)s] ", "no line has an instance."),
		flag("publish_errors", "errors are not sent as notifications."),
		number("rate_limit_interval", 0, "no line is left out."),
		number("rate_limit_burst", 0, "no line is left out."),
		text("rate_limit_except_level", "CRITICAL", "no line is left out."),
		flag("fatal_deprecations", "a deprecated option is warned of."),
	}
}

// Register makes the options of oslo.log known to c, before it is loaded. Those without an effect say so in their help.
func Register(c *config.Config) error {
	return c.Register(append(counting(), known()...)...)
}

// facilities are syslog's, by their names in Python.
var facilities = map[string]int{
	"LOG_KERN": 0, "LOG_USER": 1, "LOG_MAIL": 2, "LOG_DAEMON": 3, "LOG_AUTH": 4, "LOG_SYSLOG": 5, "LOG_LPR": 6, "LOG_NEWS": 7,
	"LOG_UUCP": 8, "LOG_CRON": 9, "LOG_AUTHPRIV": 10, "LOG_FTP": 11, "LOG_LOCAL0": 16, "LOG_LOCAL1": 17, "LOG_LOCAL2": 18,
	"LOG_LOCAL3": 19, "LOG_LOCAL4": 20, "LOG_LOCAL5": 21, "LOG_LOCAL6": 22, "LOG_LOCAL7": 23,
}

// facilityNames are the names that the option takes: oslo.log has them with and without LOG_.
func facilityNames() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(facilities)) {
		names = append(names, name, strings.TrimPrefix(name, "LOG_"))
	}
	return names
}

// facilityOf is the number of a name that the option takes.
func facilityOf(name string) int {
	name = strings.ToUpper(name)
	if number, ok := facilities[name]; ok {
		return number
	}
	return facilities["LOG_"+name]
}
