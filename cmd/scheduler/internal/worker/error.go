package worker

import (
	"errors"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/messaging"
)

// refuse makes the failure that the caller of a selection sees. What the filters rejected stays in the log.
func (e *endpoints) refuse(err error) error {
	var none *nova.NoValidHostError
	if !errors.As(err, &none) {
		return wrongArgument(err)
	}
	if none.Err != nil {
		e.log.WithError(none.Err).Debug("no valid host")
	}
	return &messaging.RemoteError{
		Module: "nova.exception", Class: "NoValidHost", Message: none.Error(),
		Kwargs: map[string]any{"reason": none.Reason, "code": 500},
	}
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
	}
	return wrongArgument(err)
}

// wrongArgument turns an argument error into Python's; other errors stay what they are.
func wrongArgument(err error) error {
	var argument *nova.ArgumentError
	if !errors.As(err, &argument) {
		return err
	}
	return &messaging.RemoteError{Module: "builtins", Class: "ValueError", Message: argument.Error()}
}
