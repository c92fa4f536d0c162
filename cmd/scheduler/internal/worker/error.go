package worker

import (
	"errors"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/messaging"
)

// Exceptions are what callers see of the errors of package nova, and what clients make of it.
func Exceptions() *messaging.ErrorRegistry {
	var r messaging.ErrorRegistry
	messaging.RegisterErrorFunc(&r, "nova.exception", "NoValidHost", func(e *nova.NoValidHostError) *messaging.RemoteError {
		return &messaging.RemoteError{Message: e.Error(), Kwargs: map[string]any{"reason": e.Reason, "code": 500}}
	}, func(remote *messaging.RemoteError) *nova.NoValidHostError {
		reason, _ := remote.Kwargs["reason"].(string) // a scheduler in Python may send none
		return &nova.NoValidHostError{Reason: reason}
	})
	messaging.RegisterErrorFunc(&r, "builtins", "ValueError", func(e *nova.ArgumentError) *messaging.RemoteError {
		return &messaging.RemoteError{Message: e.Error()}
	}, nil)
	return &r
}

// refused marks what a caller can do something about. What the filters rejected is for the log of this side.
func refused(log logrus.FieldLogger, err error) error {
	var (
		none     *nova.NoValidHostError
		argument *nova.ArgumentError
	)
	switch {
	case errors.As(err, &none):
		if none.Err != nil {
			log.WithError(none.Err).Debug("no valid host")
		}
	case !errors.As(err, &argument):
		return err
	}
	return messaging.Expected(err)
}

// dropped logs why a report was not taken. One about an unknown host is no failure: the host may have reported
// to this scheduler before it started.
func dropped(log logrus.FieldLogger, err error) error {
	var argument *nova.ArgumentError
	switch {
	case errors.Is(err, placement.ErrUnknownHost):
		log.WithError(err).Debug("report dropped")
		return nil
	case errors.As(err, &argument):
		log.WithError(err).Warn("report dropped")
		return messaging.Expected(err)
	}
	return err
}
