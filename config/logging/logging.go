// Package logging sets logrus loggers up by the options that oslo.log has in [DEFAULT]: debug, default_log_levels, log_file,
// log_dir, use_stderr, use_syslog, use_journal, use_json and the formats. Lines look as those of OpenStack's services do, with
// the request id in each.
//
// A log file needs no rotation by the program, which could not do it for several processes that share the file: logrotate moves
// it, and each process opens it anew at its next line. Files are appended to, so copytruncate does no harm either.
//
//	/var/log/nova/*.log {
//		daily
//		rotate 14
//		missingok
//		compress
//		delaycompress
//	}
package logging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/config"
)

// Option is a choice about a set-up.
type Option func(*setup)

type setup struct {
	*formats
	stderr                      io.Writer
	syslogSocket, journalSocket string
	pool                        string
	index                       int
}

// WithStderr takes the place of standard error.
func WithStderr(w io.Writer) Option { return func(s *setup) { s.stderr = w } }

// WithRequest tells which request a context belongs to, for lines that are logged with it (logrus' WithContext): by a map as
// oslo.context makes it, with request_id, global_request_id, user and so on; [messaging.RequestContextFrom], as a rule. Fields
// request_id and global_request_id of a line win over it.
func WithRequest(of func(context.Context) map[string]any) Option {
	return func(s *setup) { s.request = of }
}

// WithWorker has each line tell which worker of which pool wrote it, in fields pool and worker: those of JSON, and where lines
// go anywhere else than to standard error. Text on standard error has not: it comes with [pool/worker] before each line from the
// parent that passes it on.
func WithWorker(pool string, index int) Option {
	return func(s *setup) { s.pool, s.index = pool, index }
}

// WithSockets takes the place of the sockets of syslog and of the journal, /dev/log and /run/systemd/journal/socket.
func WithSockets(syslog, journal string) Option {
	return func(s *setup) { s.syslogSocket, s.journalSocket = syslog, journal }
}

// Logs are the loggers of a program. They are safe for concurrent use.
type Logs struct {
	config  *config.Config
	formats *formats
	json    bool
	places  bool
	out     io.Writer
	hooks   []logrus.Hook
	closers []io.Closer

	naming sync.Mutex // held while a logger is made, before mu

	mu    sync.Mutex
	named map[string]*logrus.Logger
	level *logrus.Level // wins over all options
}

// Setup has log, the logger of the program of that name, write as c says, and makes further loggers. Levels follow the options
// debug and default_log_levels when c is mutated or reloaded; the other options count from the start. It fails, with an error
// that names the option, when the file cannot be opened. Close the result when nothing logs any more.
//
// Without a file, syslog and journal, lines go to standard error, whatever use_stderr says; oslo.log has standard output there.
func Setup(c *config.Config, program string, log *logrus.Logger, opts ...Option) (*Logs, error) {
	s := setup{formats: newFormats(program), stderr: os.Stderr, syslogSocket: "/dev/log", journalSocket: "/run/systemd/journal/socket"}
	for _, opt := range opts {
		opt(&s)
	}
	l := &Logs{config: c, formats: s.formats, json: jsonOption.Get(c), named: make(map[string]*logrus.Logger)}
	if err := s.readFormats(c); err != nil {
		return nil, err
	}
	l.places = s.context.has(placeKeys...) || s.other.has(placeKeys...) || s.debugSuffix.has(placeKeys...)
	if err := l.open(&s); err != nil {
		return nil, err
	}
	if s.pool != "" && (l.json || len(l.closers) > 0) {
		l.formats.worker = logrus.Fields{"pool": s.pool, "worker": s.index}
	}
	early := release(log)
	l.adopt(program, log)
	c.OnChange(func([]config.Change) { l.setLevels() })
	if s.pool == "" { // workers leave it to their parent
		for _, e := range early {
			e.Log(e.Level, e.Message)
		}
		l.warn(log)
	}
	return l, nil
}

// Named is the logger of a part of the program, such as oslo.messaging, whose level default_log_levels can set by that name.
// Asked for the same name again it is the same.
func (l *Logs) Named(name string) *logrus.Logger {
	l.naming.Lock()
	defer l.naming.Unlock()
	l.mu.Lock()
	log := l.named[name]
	l.mu.Unlock()
	if log == nil {
		log = logrus.New()
		l.adopt(name, log)
	}
	return log
}

// JSON tells whether lines are of JSON, so that nothing must be put before them.
func (l *Logs) JSON() bool { return l.json }

// SetLevel sets the level of all loggers, in place of what options say.
func (l *Logs) SetLevel(level logrus.Level) {
	l.mu.Lock()
	l.level = &level
	l.mu.Unlock()
	l.setLevels()
}

// Close closes the file and the sockets.
func (l *Logs) Close() error {
	var errs []error
	for _, c := range l.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// adopt sets a logger up.
func (l *Logs) adopt(name string, log *logrus.Logger) {
	if l.json {
		log.SetFormatter(&jsonFormatter{l.formats, name})
	} else {
		log.SetFormatter(&lineFormatter{l.formats, name})
	}
	log.SetOutput(l.out)
	log.SetReportCaller(l.places)
	for _, hook := range l.hooks {
		log.AddHook(hook)
	}
	l.mu.Lock()
	l.named[name] = log
	l.mu.Unlock()
	l.setLevels()
}

// warn tells of options whose silence would cost an operator something.
func (l *Logs) warn(log *logrus.Logger) {
	if rotationOption.Given(l.config) && !isNone(rotationOption.Get(l.config)) {
		log.WithField("option", "[DEFAULT] log_rotation_type").Warn("the log file is not rotated: let logrotate move it")
	}
	if appendOption.Get(l.config) != "" {
		log.WithField("option", "[DEFAULT] log_config_append").Warn("a file for Python's logging is without effect")
	}
}

// readFormats reads the options that are formats. Where c was loaded they can be read: their types see to it.
func (s *setup) readFormats(c *config.Config) error {
	var errs [5]error
	s.date, errs[0] = parseDate(dateOption.Get(c))
	s.context, errs[1] = parseTemplate(contextFormatOption.Get(c))
	s.other, errs[2] = parseTemplate(defaultFormatOption.Get(c))
	s.identity, errs[3] = parseTemplate(identityFormatOption.Get(c))
	s.debugSuffix, errs[4] = parseTemplate(debugSuffixOption.Get(c))
	return errors.Join(errs[:]...)
}

// open opens where lines go.
func (l *Logs) open(s *setup) error {
	var outs []io.Writer
	s.stderr = &together{outs: []io.Writer{s.stderr}} // lines that a socket does not take go there too
	path, option := logFile(l.config, s.program)
	if path != "" {
		file, err := openWatched(path)
		if err != nil {
			return fmt.Errorf("option %s: %w", option, err)
		}
		outs, l.closers = append(outs, file), append(l.closers, file)
	}
	facility := facilityOf(facilityOption.Get(l.config))
	if syslogOption.Get(l.config) {
		l.send(s, s.syslogSocket, &syslogFormat{s.program, s.pid, facility})
	}
	if journalOption.Get(l.config) {
		l.send(s, s.journalSocket, &journalFormat{s.formats, facility})
	}
	if len(l.closers) == 0 || stderrOption.Get(l.config) {
		outs = append(outs, s.stderr)
	}
	l.out = &together{outs: outs}
	return nil
}

// send has lines sent to a socket.
func (l *Logs) send(s *setup, socket string, format datagramFormat) {
	hook := &datagramHook{socket: socket, format: format, stderr: s.stderr}
	l.hooks, l.closers = append(l.hooks, hook), append(l.closers, hook)
}

// logFile is the file to log to, if there is one, and the option that says so.
func logFile(c *config.Config, program string) (path, option string) {
	path, option = fileOption.Get(c), fileOption.Name
	dir := dirOption.Get(c)
	if dir == "" {
		return path, option
	}
	if path == "" {
		path, option = program+".log", dirOption.Name
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return path, option
}

// together writes lines of several loggers, each as a whole, to all places at once.
type together struct {
	mu   sync.Mutex
	outs []io.Writer
}

// Write implements io.Writer. Where one place does not take a line, the others get it all the same.
func (t *together) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, out := range t.outs {
		if _, err := out.Write(line); err != nil {
			errs = append(errs, err)
		}
	}
	return len(line), errors.Join(errs...)
}
