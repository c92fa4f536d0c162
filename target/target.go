// Package target says where a message goes and what a server listens on.
//
// A [Target] is oslo.messaging's Target: a topic in an exchange, perhaps one server of that topic, and the
// interface (namespace and version) that a client asks for or an endpoint implements.
package target

import (
	"strings"
)

// DefaultExchange is the exchange used where neither the target nor the transport names one
// (oslo.messaging option control_exchange).
const DefaultExchange = "openstack"

// Target is an address on the bus. The zero value names nothing; a client needs a Topic, a server a Topic
// and a Server. A Target is a value: copy it freely, it is never changed behind its owner's back.
type Target struct {
	// Exchange is the control exchange; empty means the transport's, which is "openstack" by default.
	Exchange string
	// Topic names a kind of service, such as "scheduler". Every server of a topic shares its queue.
	Topic string
	// Server names one server of the topic, usually its host name.
	Server string
	// Namespace is the interface's name; empty is the null namespace.
	Namespace string
	// Version is the interface's version, "major.minor" or "major.minor.revision"; empty means "1.0" where
	// an endpoint implements it and "not sent" where a client asks for it.
	Version string
	// Fanout sends to every server of the topic.
	Fanout bool
	// LegacyNamespaces are further names that an endpoint answers to. Only servers read them; an empty
	// string in it is the null namespace.
	LegacyNamespaces []string
}

// String prints the parts that are set, for logs and errors.
func (t Target) String() string {
	var b strings.Builder
	b.WriteByte('<')
	add := func(key, value string) {
		if value == "" {
			return
		}
		if b.Len() > 1 {
			b.WriteString(", ")
		}
		b.WriteString(key + "=" + value)
	}
	add("exchange", t.Exchange)
	add("topic", t.Topic)
	add("server", t.Server)
	add("namespace", t.Namespace)
	add("version", t.Version)
	if t.Fanout {
		add("fanout", "true")
	}
	b.WriteByte('>')
	return b.String()
}

// InvalidTargetError says which part of a target is missing for what was asked of it.
type InvalidTargetError struct {
	Target Target
	Reason string
}

func (e *InvalidTargetError) Error() string {
	return "invalid target " + e.Target.String() + ": " + e.Reason
}

// CheckServer reports whether a server can listen on t: it needs a topic and a server name
// (oslo.messaging: "A server's target must have topic and server names specified").
func (t Target) CheckServer() error {
	switch {
	case t.Topic == "" && t.Server == "":
		return &InvalidTargetError{t, "a server's target needs a topic and a server name"}
	case t.Topic == "":
		return &InvalidTargetError{t, "a server's target needs a topic"}
	case t.Server == "":
		return &InvalidTargetError{t, "a server's target needs a server name"}
	}
	return nil
}

// CheckCall reports whether a call can be sent to t: it needs a topic and must not fan out, since a call
// has one answer.
func (t Target) CheckCall() error {
	if t.Fanout {
		return &InvalidTargetError{t, "a call cannot be used with fanout"}
	}
	return t.CheckCast()
}

// CheckCast reports whether a cast can be sent to t: it needs a topic.
func (t Target) CheckCast() error {
	if t.Topic == "" {
		return &InvalidTargetError{t, "a client's target needs a topic"}
	}
	return nil
}
