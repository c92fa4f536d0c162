package report

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Config says what is in a service's reports and where they go.
type Config struct {
	// Name is the program's, as in the report and its file. Empty means the name of the executable.
	Name string
	// Version is the program's.
	Version string
	// LogDir is the folder for reports (oslo.reports: log_dir). Empty means that they go to Output.
	LogDir string
	// Output takes reports without a LogDir, or when their file cannot be written. nil means os.Stderr.
	Output io.Writer
	// Options prints the configuration, masked (see [WriteOptions]). nil leaves the section out.
	Options func(w io.Writer)
	// State are the parts that print their state. nil leaves the section out.
	State *State
	// Extra are sections of the service's own, which come last.
	Extra []Section
	// Log says where a report went. nil means logrus.StandardLogger().
	Log logrus.FieldLogger
}

// Reporter writes reports when asked, one at a time. It is safe for concurrent use.
type Reporter struct {
	config Config
	mu     sync.Mutex // one report at a time
}

// New makes a reporter.
func New(conf Config) *Reporter {
	if conf.Name == "" {
		conf.Name = os.Args[0]
	}
	conf.Name = filepath.Base(conf.Name) // it becomes part of a file name
	if conf.Output == nil {
		conf.Output = os.Stderr
	}
	if conf.Log == nil {
		conf.Log = logrus.StandardLogger()
	}
	return &Reporter{config: conf}
}

// Handle writes a report and logs where it is, or why it is not. It is what a handler of USR1 and USR2 calls; it
// does not end the process.
func (r *Reporter) Handle() {
	path, err := r.Report()
	if err != nil {
		r.config.Log.WithError(err).Error("the report was not written as wanted")
	}
	if path != "" {
		r.config.Log.WithField("path", path).Info("wrote a report")
	}
}

// Report writes a report and returns the path of its file, which only its owner may read, or an empty one if it
// went to Output. The file is NAME_gurumeditation_TIMESTAMP in LogDir, with the time in UTC to the second; when
// one is there, as when all workers of a service get the signal, the process id follows. If the file cannot be
// written, the report goes to Output and the error says why.
func (r *Reporter) Report() (path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.config.LogDir == "" {
		return "", Write(r.config.Output, r.sections()...)
	}
	path, err = r.writeFile()
	if err != nil {
		return "", errors.Join(err, Write(r.config.Output, r.sections()...))
	}
	return path, nil
}

func (r *Reporter) sections() []Section {
	sections := []Section{Package(r.config.Name, r.config.Version), Process(), Goroutines(), Memory(), Build()}
	if r.config.Options != nil {
		sections = append(sections, Configuration(r.config.Options))
	}
	if r.config.State != nil {
		sections = append(sections, r.config.State.Section())
	}
	return append(sections, r.config.Extra...)
}

func (r *Reporter) writeFile() (path string, err error) {
	f, err := r.create(time.Now())
	if err != nil {
		return "", err
	}
	err = errors.Join(Write(f, r.sections()...), f.Close())
	if err != nil {
		return "", err
	}
	return f.Name(), nil
}

// timestamp is oslo.reports' form of the time in file names.
const timestamp = "20060102150405"

// maxReports bounds how many reports one process writes within one second.
const maxReports = 100

// create makes a file that was not there, so that nothing is written over and no link is followed.
func (r *Reporter) create(now time.Time) (*os.File, error) {
	name := filepath.Join(r.config.LogDir, r.config.Name+"_gurumeditation_"+now.UTC().Format(timestamp))
	for n := range maxReports {
		candidate := name
		switch {
		case n == 1:
			candidate = fmt.Sprintf("%s_%d", name, os.Getpid())
		case n > 1:
			candidate = fmt.Sprintf("%s_%d_%d", name, os.Getpid(), n)
		}
		f, err := os.OpenFile(candidate, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			if err != nil {
				return nil, fmt.Errorf("report: %w", err)
			}
			return f, nil
		}
	}
	return nil, fmt.Errorf("report: %s: %w", name, fs.ErrExist)
}
