package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/backdoor"
	"github.com/goslo/goslo/service/report"
)

// report answers USR1 and USR2.
func (s *settings) report(w io.Writer) {
	err := report.Write(w, report.Process(), report.Goroutines(), report.Memory(), report.Configuration(s.writeOptions), s.states.Section())
	if err != nil {
		s.log.WithError(err).Warn("the report was not written")
	}
}

// writeOptions prints all options; what is secret is masked.
func (s *settings) writeOptions(w io.Writer) {
	for _, o := range s.Settings() {
		_, _ = fmt.Fprintf(w, "%s = %s (%s)\n", o.Key, o.Value, o.Source)
	}
}

func (s *settings) backdoorConfig() backdoor.Config {
	return backdoor.Config{
		Port: backdoorPortOption.Get(s.Config), Socket: backdoorSocketOption.Get(s.Config), HTTP: backdoorHTTPOption.Get(s.Config),
		Options: s.writeOptions, State: &s.states, Log: s.log,
	}
}

// checkBackdoor finds out, before anything is launched, whether each process can have its backdoor: what fails in a worker
// would fail again and again. Only a parent, or a process without one, tries.
func (s *settings) checkBackdoor(together bool, pools []pool) error {
	worker, err := service.CurrentWorker()
	if err != nil || worker != nil {
		return err
	}
	conf := s.backdoorConfig()
	if err := conf.CheckProcesses(s.processes(together, pools)); err != nil {
		return s.wrongBackdoor(&usageError{err: err})
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	conf.Log = quiet // what listens is closed again
	trial, err := backdoor.Open(context.Background(), conf)
	if err != nil {
		return s.wrongBackdoor(err)
	}
	return trial.Close(context.Background())
}

// processes is how many there are at once: at a rolling reload one more than workers.
func (s *settings) processes(together bool, pools []pool) int {
	if together {
		return 1
	}
	n := 0
	for _, p := range pools {
		n += p.workers
	}
	if reloadStrategyOption.Get(s.Config) == string(service.Rolling) && restartMethodOption.Get(s.Config) == string(service.Reload) {
		n++
	}
	return n
}

// wrongBackdoor tells of a form that is none as of wrong usage, and of an address that is taken as of a failure.
func (s *settings) wrongBackdoor(err error) error {
	var form *backdoor.PortError
	if errors.As(err, &form) {
		return s.wrongOption("backdoor_port", backdoorPortOption, err)
	}
	return err
}
