package agent

import (
	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// UnavailableError refuses a claim that does not fit: another host may take the instance. On the wire it is
// nova.exception.ComputeResourcesUnavailable.
type UnavailableError struct {
	Reason string `json:"reason"` // Free vcpus 1 VCPU < requested 2 VCPU
}

// Error is nova's message.
func (e *UnavailableError) Error() string { return "Insufficient compute resources: " + e.Reason + "." }

// ExistsError refuses to build an instance that is here already and takes something else: nova.exception.InstanceExists.
type ExistsError struct {
	UUID string `json:"name"`
}

// Error is nova's message.
func (e *ExistsError) Error() string { return "Instance " + e.UUID + " already exists." }

// NotFoundError tells that an instance is not here: nova.exception.InstanceNotFound.
type NotFoundError struct {
	UUID string `json:"instance_id"`
}

// Error is nova's message.
func (e *NotFoundError) Error() string { return "Instance " + e.UUID + " could not be found." }

// Exceptions are these errors on the wire, both ways.
func Exceptions() *messaging.ErrorRegistry {
	var r messaging.ErrorRegistry
	messaging.RegisterError[*UnavailableError](&r, "nova.exception", "ComputeResourcesUnavailable")
	messaging.RegisterError[*ExistsError](&r, "nova.exception", "InstanceExists")
	messaging.RegisterError[*NotFoundError](&r, "nova.exception", "InstanceNotFound")
	messaging.RegisterErrorFunc(&r, "builtins", "ValueError", func(e *nova.ArgumentError) *messaging.RemoteError {
		return &messaging.RemoteError{Message: e.Error()}
	}, nil)
	return &r
}
