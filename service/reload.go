package service

import (
	"syscall"

	"github.com/sirupsen/logrus"
)

// hangup serves a SIGHUP. One that comes while the program is still launching its services waits for Wait, and one that
// comes while the configuration is read has it read again.
func (p *parent) hangup() {
	switch {
	case p.stopping:
		return
	case !p.conf.isDaemon():
		p.stop("SIGHUP")
		return
	case !p.waited, p.reading != nil:
		p.hungUp = true
		return
	}
	p.logRestart().Info("SIGHUP received, reading the configuration")
	p.hungUp = false
	p.conf.Notifier.Reloading() // also of one that fails: systemd waits for it, and then for Ready
	p.announce = true
	p.reading = p.conf.reading()
}

// haveRead is the second half of hangup.
func (p *parent) haveRead(err error) {
	p.reading = nil
	switch {
	case p.stopping:
		return
	case err != nil:
		logFailure(p.logRestart(), err, "the configuration was not read, the workers stay as they are")
	default:
		p.conf.logOptions()
		p.renew()
	}
	if p.hungUp {
		p.hangup()
	}
}

func (p *parent) logRestart() logrus.FieldLogger {
	return p.log.WithField("restart_method", string(p.conf.RestartMethod))
}

// renew brings the new configuration to the workers.
func (p *parent) renew() {
	switch {
	case p.conf.RestartMethod == Mutate:
		p.mutate()
	case p.conf.ReloadStrategy == Rolling:
		p.rolling = p.rolling.again(p.pools, p.generation)
	default:
		for w := range p.living {
			if w.state != workerStopping {
				p.terminate(w)
			}
		}
	}
}

// mutate has the workers reset. One that has not come so far may have read the old configuration: it hears of it when it
// is ready.
func (p *parent) mutate() {
	for w := range p.living {
		switch w.state {
		case workerReady:
			w.Signal(syscall.SIGHUP)
		case workerStarting:
			w.mutate = true
		case workerStopping:
		}
	}
}
